"""A connection to a file: of one thread, and of one process."""

from __future__ import annotations

import ctypes
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from middleware.stores.sqlite.errors import FileUnavailable
from middleware.stores.sqlite.log import Log
from middleware.stores.sqlite.opening import patiently

READ, WRITE = "BEGIN", "BEGIN IMMEDIATE"


class Connection:
    """A thread's connection, open while it is needed, and the transaction on it.

    Args:
        opened: makes the module's own connection.
        check: is called first in each transaction; its first look is where the snapshot of one that reads begins.
        log: is told of commits.
        timeout_s: how long to wait for another process.

    Attributes:
        kind: of the transaction that is open; ``""`` if none is.
        at_commit: whether the last one came as far as its commit.
    """

    def __init__(
        self,
        opened: Callable[[], sqlite3.Connection],
        check: Callable[[sqlite3.Connection], None],
        log: Log,
        timeout_s: float,
    ) -> None:
        self.kind, self.at_commit = "", False
        self._opened, self._check, self._log, self._timeout_s = opened, check, log, timeout_s
        self._pid = os.getpid()
        self._in_use = threading.Lock()
        self._raw: sqlite3.Connection | None = None
        self._is_unwanted = self._is_undone = False
        self._depth = 0
        self._is_synced = True

    def __del__(self) -> None:
        # Its thread has ended.
        self._end()

    @property
    def is_inherited(self) -> bool:
        """Whether it is the parent's of this process."""
        return self._pid != os.getpid()

    @contextmanager
    def transaction(self, kind: str, *, synced: bool = True) -> Iterator[sqlite3.Connection]:
        """Begin one of *kind*; at the end of the block commit it if it writes, and undo it if it does not."""
        with self._in_use:
            self.at_commit = self._is_undone = False
            raw = self._raw = self._raw or self._opened()
            try:
                if kind == WRITE and synced is not self._is_synced:
                    raw.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
                    self._is_synced = synced
                patiently(partial(self._begin, raw, kind), self._timeout_s)
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
            if not self.is_inherited:
                self._undo(raw, name)
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

    def _undo(self, raw: sqlite3.Connection, name: str) -> None:
        if raw.in_transaction:
            raw.execute(f"ROLLBACK TO {name}")
            raw.execute(f"RELEASE {name}")
            return
        # The error has undone all. What is still to come must not be committed, statement by statement.
        self._is_undone = True
        raw.execute(READ)

    def _begin(self, raw: sqlite3.Connection, kind: str) -> None:
        raw.execute(kind)
        try:
            self._check(raw)
        except sqlite3.Error:
            raw.execute("ROLLBACK")
            raise

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
        self._is_synced = True
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
        if self._is_undone or not raw.in_transaction:
            # A full disk, for one, does that, and the block has caught the error.
            raise FileUnavailable("an error within the transaction has undone all of it")
