"""How a connection is opened, and how long it waits for those of other processes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from middleware.stores.sqlite.errors import FileRefused, code_of
from middleware.stores.sqlite.log import CHECKPOINT_PAGES, USUAL_BYTES

# SQLite itself waits longer with each try, up to 100 ms. Of processes that write all the time, one that waits so would
# find the file free by chance alone, after seconds; those that look each millisecond or two take turns.
BUSY_MS = 5
_PAUSE_S = 0.001

_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}",
    f"PRAGMA journal_size_limit = {USUAL_BYTES}",
)

T = TypeVar("T")


def connect(path: Path, timeout_s: float) -> sqlite3.Connection:
    """Return a connection to the file at *path*, which is made if it is not there.

    Raises:
        FileRefused: the file can have no write-ahead log.
        sqlite3.Error: for any other reason.
    """
    # Also closed by other threads than its own, while that one is not at it.
    raw = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    try:
        # It stays so. SQLite does not wait at all for others that do the same.
        [mode] = patiently(lambda: raw.execute("PRAGMA journal_mode = WAL").fetchone(), timeout_s)
        if mode != "wal":
            raise FileRefused(
                f"{path}: it can have no write-ahead log (its journal mode stays {mode!r}); "
                "close what else has it open, or name a file on another file system"
            )
        for pragma in _PRAGMAS:
            raw.execute(pragma)
    except BaseException:
        raw.close()
        raise
    return raw


def patiently(step: Callable[[], T], timeout_s: float) -> T:
    """Return what *step* does, which is made again as long as another process is in its way, but for no longer.

    Raises:
        sqlite3.OperationalError: one still is; or another error, at once.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return step()
        except sqlite3.OperationalError as error:
            if code_of(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)
