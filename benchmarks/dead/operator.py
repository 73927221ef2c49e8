"""One command on dead letters, in a process of its own; prints what it took."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dramatiq

from actors import actor
from actors.dead_letters import ALL, dead_letters

QUEUE = "bench"


@actor(queue_name=QUEUE)
def noop(number: int) -> None: ...


def page() -> int:
    return len(dead_letters().look(limit=50).letters)


def groups() -> int:
    return dead_letters().groups().count


def replay() -> int:
    return dead_letters().replay(ALL).replayed


OPERATIONS: dict[str, Callable[[], int]] = {"page": page, "groups": groups, "replay": replay}


def peak_mb() -> float:
    # Not that of getrusage(), which begins with the peak of who has started this process.
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024 / 1e6


def main(name: str) -> None:
    assert dramatiq.get_broker().actors
    before_mb, began = peak_mb(), time.perf_counter()
    count = OPERATIONS[name]()
    print(json.dumps({"seconds": time.perf_counter() - began, "grew_mb": peak_mb() - before_mb, "count": count}))


if __name__ == "__main__":
    main(sys.argv[1])
