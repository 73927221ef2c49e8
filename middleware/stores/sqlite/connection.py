"""A connection to a file: of one thread, and of one process."""

from __future__ import annotations

import ctypes
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from middleware.stores.sqlite.errors import FileRefused, FileUnavailable, code_of
from middleware.stores.sqlite.log import CHECKPOINT_PAGES, USUAL_BYTES, Log

READ, WRITE = "BEGIN", "BEGIN IMMEDIATE"

_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}",
    f"PRAGMA journal_size_limit = {USUAL_BYTES}",
)
_PAUSE_S = 0.01


class Connection:
    """A thread's connection, open while it is needed, and the transaction on it.

    Args:
        opened: makes the module's own connection.
        log: is told of commits.

    Attributes:
        kind: of the transaction that is open; ``""`` if none is.
        at_commit: whether the last one came as far as its commit.
    """

    def __init__(self, opened: Callable[[], sqlite3.Connection], log: Log) -> None:
        self.kind, self.at_commit = "", False
        self._opened, self._log = opened, log
        self._pid = os.getpid()
        self._in_use = threading.Lock()
        self._raw: sqlite3.Connection | None = None
        self._is_unwanted = False
        self._depth = 0

    def __del__(self) -> None:
        # Its thread has ended.
        self._end()

    @property
    def is_inherited(self) -> bool:
        """Whether it is the parent's of this process."""
        return self._pid != os.getpid()

    @contextmanager
    def transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        """Begin one of *kind*; at the end of the block commit it if it writes, and undo it if it does not."""
        with self._in_use:
            self.at_commit = False
            raw = self._raw = self._raw or self._opened()
            try:
                raw.execute(kind)
                self.kind = kind
                yield raw
                self._require_open(raw)
                self.at_commit = kind == WRITE
                raw.execute("COMMIT" if self.at_commit else "ROLLBACK")
                if self.at_commit:
                    self._log.committed(raw)
            finally:
                self.kind = ""
                self._leave(raw)

    @contextmanager
    def nested(self, kind: str) -> Iterator[sqlite3.Connection]:
        """Join the transaction that is open; undo what the block has done if it raises."""
        if kind == WRITE and self.kind == READ:
            raise RuntimeError("a transaction that reads can't write; begin one with write()")
        if self._raw is None:
            raise RuntimeError("no transaction is open")
        raw, name = self._raw, f"actors_{self._depth}"
        raw.execute(f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield raw
            self._require_open(raw)
        except BaseException:
            # Some errors have undone the whole transaction already.
            if not self.is_inherited and raw.in_transaction:
                raw.execute(f"ROLLBACK TO {name}")
            raise
        else:
            raw.execute(f"RELEASE {name}")
        finally:
            self._depth -= 1

    def close(self) -> None:
        """Close it, at once or as soon as its thread has ended its transaction; the next one opens it again."""
        self._is_unwanted = True
        if self._in_use.acquire(blocking=False):
            self._end()
            self._in_use.release()

    def _leave(self, raw: sqlite3.Connection) -> None:
        """Leave nothing of a transaction behind, whatever became of it."""
        if self.is_inherited:
            return
        try:
            if raw.in_transaction:
                raw.execute("ROLLBACK")
        except sqlite3.Error:
            # It is undone with the connection's end, and whoever uses the file knows from the first error.
            self._is_unwanted = True
        if self._is_unwanted:
            self._end()

    def _end(self) -> None:
        raw, self._raw, self._is_unwanted = self._raw, None, False
        if raw is None:
            return
        if self.is_inherited:
            # In a child it must not even be closed: https://sqlite.org/howtocorrupt.html, 2.6. One reference too many
            # keeps it from that also when the interpreter ends.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(raw))
        else:
            raw.close()

    def _require_open(self, raw: sqlite3.Connection) -> None:
        if self.is_inherited:
            raise RuntimeError("the process was forked within a transaction, which is its parent's to end")
        if not raw.in_transaction:
            # A full disk, for one, does that, and the block has caught the error.
            raise FileUnavailable("an error within the transaction has undone all of it")


def connect(path: Path, timeout_s: float) -> sqlite3.Connection:
    """Return a connection to the file at *path*, which is made if it is not there.

    Raises:
        FileRefused: the file can have no write-ahead log.
        sqlite3.Error: for any other reason.
    """
    # Also closed by other threads than its own, while that one is not at it.
    raw = sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)
    try:
        mode = _journal_mode(raw, time.monotonic() + timeout_s)
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


def _journal_mode(raw: sqlite3.Connection, deadline: float) -> str:
    """Ask for write-ahead logging, which then stays; return the mode that there is."""
    while True:
        try:
            mode: str
            [mode] = raw.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            # SQLite does not wait by itself for others that do the same.
            if code_of(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
        else:
            return mode
