"""The write-ahead log beside a file, and what keeps it short."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

# Pages after which a commit copies them from the log to the file. The log then starts anew, unless somebody reads it.
CHECKPOINT_PAGES = 4_000
# What it is cut to when it starts anew, and from which size on we see to that ourselves.
USUAL_BYTES = 32 * 1024 * 1024
LARGE_BYTES = 2 * USUAL_BYTES

# How often to look at its size, and to act on that; writers wait so long for readers to let go of it.
_COMMITS = 64
_PAUSE_S = 10.0
_PATIENCE_MS = 200


class Log:
    """Cuts the log of the file at *path* where readers who follow each other without a gap would let it grow for ever.

    One long reader does so, too, but nobody can help that before it ends.
    """

    def __init__(self, path: Path) -> None:
        # SQLite puts it beside the file that a link leads to.
        self._path = f"{os.path.realpath(path)}-wal"
        self._commits = 0
        self._next_s = 0.0

    def committed(self, raw: sqlite3.Connection) -> None:
        """Note a commit on *raw*; every now and then look whether the log is to be cut, and try."""
        self._commits += 1
        if self._commits % _COMMITS or time.monotonic() < self._next_s or self._size() <= LARGE_BYTES:
            return
        self._next_s = time.monotonic() + _PAUSE_S
        try:
            [usual_ms] = raw.execute("PRAGMA busy_timeout").fetchone()
            raw.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            raw.execute(f"PRAGMA busy_timeout = {usual_ms}")
        except sqlite3.Error:
            # What was written is safe. Whatever is wrong, the next transaction meets it, and says so.
            return

    def _size(self) -> int:
        try:
            return Path(self._path).stat().st_size
        except OSError:
            return 0
