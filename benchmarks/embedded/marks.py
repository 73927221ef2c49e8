"""When the first and the last of some jobs ran, and what CPU their process had taken by then.

Workers of every system import this, also in environments with nothing of ours.
"""

import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "EMBEDDED_MARKS"
COUNT = "EMBEDDED_COUNT"

# The next of it is one step of the interpreter, so that threads need no lock.
_runs = itertools.count(1)
_marked = {1, int(os.environ.get(COUNT, "1"))}


@dataclass(frozen=True)
class Mark:
    """The start of a job.

    Attributes:
        run: the how-manieth of its process it is.
        at: seconds since the Unix epoch.
        cpu: CPU seconds that its process has taken by then.
    """

    run: int
    at: float
    cpu: float


def ran() -> None:
    """Count a job; the first and the last of ``EMBEDDED_COUNT`` are noted in the file that ``EMBEDDED_MARKS`` names."""
    run = next(_runs)
    if run in _marked:
        with Path(os.environ[VARIABLE]).open("a") as file:
            file.write(f"{run} {time.time():.6f} {time.process_time():.6f}\n")


def read(path: Path) -> dict[int, Mark]:
    """Return what is noted so far, by the number of the run."""
    text = path.read_text() if path.exists() else ""
    lines = text.rpartition("\n")[0].splitlines()
    return {int(run): Mark(int(run), float(at), float(cpu)) for run, at, cpu in map(str.split, lines)}
