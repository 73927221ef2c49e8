"""How a worker and a scheduler tell ``actors dev`` what they do: lines of JSON among whatever else they write."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

# ASCII's record separator: RFC 7464 has it before each JSON text. What somebody prints may end in mid-line.
MARK = "\x1e"
# A write of no more is one piece, whoever else writes into the same pipe.
LONGEST_BYTES = 4_096

STDERR = 2


def tell(event: str, **fields: Any) -> None:
    """Write that *event* has happened, with *fields* in JSON's types; nothing where nobody listens any more.

    It goes past ``sys.stderr``, of which the application may have made something else.
    """
    text = json.dumps({"event": event, **fields}, ensure_ascii=False, default=str)
    line = f"{MARK}{text}\n".encode(errors="replace")
    if len(line) <= LONGEST_BYTES:
        with suppress(OSError):
            os.write(STDERR, line)


def heard(line: str) -> tuple[str, dict[str, Any] | None]:
    """Return what of *line* is somebody's output, and what was told; None if nothing was."""
    text, mark, told = line.partition(MARK)
    if not mark:
        return line, None
    try:
        event = json.loads(told)
    except ValueError:
        return line, None
    return (text, event) if isinstance(event, dict) and isinstance(event.get("event"), str) else (line, None)
