"""Room on the disk, before it is written to."""

from __future__ import annotations

import os
from typing import Any

# More than any number with its labels takes, in bytes; a file grows before it has less.
ENOUGH = 16_384
FIRST = 65_536


def reserve(file: int, size: int) -> None:
    """Have *size* bytes of *file* on the disk.

    What is mapped into memory ends the process, with SIGBUS, where the disk has no room for it when it is written.

    Raises:
        OSError: there is none.
    """
    if hasattr(os, "posix_fallocate"):  # not on macOS
        os.posix_fallocate(file, 0, size)


def make_room(file: Any) -> None:
    """See to it that one more number fits into *file*, prometheus_client's, which doubles when it is full.

    Raises:
        OSError: the disk has no room.
    """
    if file._capacity - file._used < ENOUGH:
        reserve(file._f.fileno(), 2 * file._capacity)
