"""How busy the machine is, and how long its disk takes."""

import os
import secrets
import time
from io import FileIO
from pathlib import Path
from statistics import median

SYNCS = 50


def load() -> float:
    """Return how many processes wanted to run in the last minute, on average."""
    return os.getloadavg()[0]


def sync_ms(folder: Path) -> float:
    """Return how many milliseconds it takes until 4 KB more of a file in *folder* are on the disk, as a rule."""
    path = folder / f"sync-{secrets.token_hex(4)}"
    with path.open("wb", buffering=0) as file:
        found = [_sync_s(file) for _ in range(SYNCS)]
    path.unlink()
    return median(found) * 1000


def _sync_s(file: FileIO) -> float:
    began = time.perf_counter()
    file.write(bytes(4096))
    os.fsync(file.fileno())
    return time.perf_counter() - began
