"""A file that the leader holds, so that its death is noticed at once."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Guard:
    """A lock on a file beside the database, which the kernel takes away from a process that dies.

    It says that somebody may try to lead, and no more; who does lead, is in the database. Where it can't be had, or
    somebody deletes the file, a death is noticed later, and that is all.

    Args:
        path: of the file; made when it is needed, and left there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds it."""
        return self._descriptor is not None

    def try_hold(self) -> bool:
        """Take hold of it, unless somebody else does; return whether it is held."""
        if self._descriptor is not None:
            return True
        try:
            # Opened anew each time: somebody may have deleted it.
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def let_go(self) -> None:
        """Let another one have it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
