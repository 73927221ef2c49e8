"""``python -Im actors_probe :8081/ready``, for containers and service managers that run a command."""

from __future__ import annotations

import re
import sys
from http.client import HTTPConnection, HTTPException

USAGE = "usage: python -Im actors_probe [HOST]:PORT/PATH, such as :8081/ready or 127.0.0.1:8081/live"
# How long it waits for the connection, and then for the answer, in seconds.
TIMEOUT_S = 2.0
OK, FAILED, MISUSED = 0, 1, 2

_PLACE = re.compile(r"(?P<host>\[[^\]/]+\]|[^:/\[\]]*):(?P<port>\d{1,5})(?P<path>/\S*)", re.ASCII)


def main(arguments: list[str]) -> int:
    """Print the answer; return 0 if it is 200, 1 if it is another or none comes, and 2 if the command is wrong."""
    place = _PLACE.fullmatch(arguments[0]) if len(arguments) == 1 else None
    if place is None:
        print(USAGE, file=sys.stderr)
        return MISUSED
    connection = HTTPConnection(place["host"].strip("[]") or "127.0.0.1", int(place["port"]), timeout=TIMEOUT_S)
    try:
        connection.request("GET", place["path"])
        answer = connection.getresponse()
        print(answer.read().decode(errors="replace"), end="")
    except (OSError, HTTPException, OverflowError) as error:
        print(f"{arguments[0]} does not answer: {str(error) or type(error).__name__}", file=sys.stderr)
        return FAILED
    return OK if answer.status == 200 else FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
