"""How busy the machine is, and how long its disk takes."""

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

SYNCS = 50


def load() -> float:
    """Return how many processes wanted to run in the last minute, on average."""
    return os.getloadavg()[0]


def sync_ms(folder: Path) -> float:
    """Return how many milliseconds it takes until 4 KB more of a file in *folder* are on the disk: the median of some."""
    path = folder / f"sync-{secrets.token_hex(4)}"
    with path.open("wb", buffering=0) as file:
        try:
            return median(_seconds(lambda: (file.write(bytes(4096)), os.fsync(file.fileno()))) for _ in range(SYNCS)) * 1000
        finally:
            path.unlink()


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
