"""When delayed messages were due, and when they ran; times are seconds since the Unix epoch.

Workers of every system import this, also in environments with nothing of ours.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "ARRIVALS"


@dataclass(frozen=True)
class Arrival:
    """One run of the actor."""

    number: int
    due: float
    at: float

    @property
    def late_ms(self) -> float:
        """How late it was, in milliseconds; less than 0 when it was early."""
        return (self.at - self.due) * 1000


def note(number: int, due: float) -> None:
    """Append a line to the file that ``ARRIVALS`` names; one of less than a page is written whole."""
    at = time.time()
    descriptor = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{number} {due:.6f} {at:.6f}\n".encode())
    finally:
        os.close(descriptor)


def read(path: Path) -> list[Arrival]:
    """Return all arrivals so far, in their order."""
    # A reader can come upon the first half of a line that goes over the end of a page.
    text = path.read_text() if path.exists() else ""
    lines = text.rpartition("\n")[0].splitlines()
    return [Arrival(int(number), float(due), float(at)) for number, due, at in map(str.split, lines)]
