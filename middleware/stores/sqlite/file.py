"""One SQLite file, which all who keep something in it open in the same way."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from middleware.stores.sqlite import forks
from middleware.stores.sqlite.connection import READ, WRITE, Connection
from middleware.stores.sqlite.errors import FileRefused, FileUnavailable, code_of, translated
from middleware.stores.sqlite.gate import Gate
from middleware.stores.sqlite.log import Log
from middleware.stores.sqlite.opening import connect, patiently
from middleware.stores.sqlite.place import absolute, identity, misplaced
from middleware.stores.sqlite.turns import Turns
from middleware.stores.sqlite.versions import bring_up, moving, too_new, version_of

# RETURNING came with it.
OLDEST_SQLITE = (3, 35, 0)


class SqliteFile:
    """One SQLite file, for all threads of this process; opens nothing before the first use; safe after a fork.

    Each thread has a connection of its own. Writers wait for each other, readers for nobody.

    Args:
        path: of the file; made with its first use, in a folder that exists.
        schema: statements (``CREATE … IF NOT EXISTS``) that make the tables of all who use it; run once a process, in
            one transaction.
        timeout_s: how long to wait for another thread's writer, and then as long for another process's.
        moves: whether it may be used though what is in it is moved elsewhere: by who moves it.

    Attributes:
        path: absolute from the start: a process that changes its folder keeps its file.

    Raises:
        FileRefused: *path* is the name of no file.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, schema: Sequence[str], timeout_s: float = 10.0, moves: bool = False
    ) -> None:
        self.path = absolute(path)
        self._moves = moves
        self._schema = tuple(schema)
        self._timeout_s = timeout_s
        self._start()
        forks.register(self)

    @contextmanager
    def write(self, *, synced: bool = True) -> Iterator[sqlite3.Connection]:
        """Yield this thread's connection, in a transaction that is committed at the end of the block.

        Once the block is left, all of it is on the disk; if it raises, nothing is. Within another transaction of the
        same thread it is a part of that one.

        Args:
            synced: whether the disk is waited for. Without that it survives any end of the process, but may be gone
                after a power cut, with all that was committed later; the next one that is synced takes it along.

        Raises:
            FileUnavailable: the file was locked for longer than the timeout, its disk is full, or fails.
            FileRefused: it can't be used as it is.
        """
        connection = self._connection()
        if connection.kind:
            with self._translating(connection), connection.nested(WRITE) as raw:
                yield raw
            return
        # Threads wait here, where the next is woken at once; SQLite looks again only from time to time.
        turns = self._turns
        if not turns.take(self._timeout_s):
            raise FileUnavailable(f"{self.path}: another thread has been writing for longer than the timeout")
        try:
            with self._gate, self._translating(connection), connection.transaction(WRITE, synced=synced) as raw:
                yield raw
        finally:
            turns.pass_on()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Yield this thread's connection, on one consistent snapshot. Whatever is changed there is undone.

        Within another transaction of the same thread it is a part of that one, and sees what that has written. Keep it
        short: the log grows as long as somebody reads an old state.

        Raises:
            FileUnavailable, FileRefused: as for :meth:`write`.
        """
        connection = self._connection()
        if connection.kind:
            with self._translating(connection), connection.nested(READ) as raw:
                yield raw
            return
        with self._gate, self._translating(connection), connection.transaction(READ) as raw:
            yield raw

    def close(self) -> None:
        """Close the connections of all threads, each at the end of its transaction; the next use opens them again."""
        with self._opening:
            there = list(self._connections)
        for connection in there:
            connection.close()

    def before_fork(self) -> bool:
        """Close all connections, and keep them closed until the fork is over; return whether that could be done."""
        own: Connection | None = getattr(self._own, "connection", None)
        is_inside = own is not None and bool(own.kind)
        is_idle = self._gate.close(allowed=int(is_inside), timeout_s=self._timeout_s)
        self.close()
        return is_idle and not is_inside

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._gate.open()

    def after_fork_in_child(self, *, is_usable: bool) -> None:
        """Know of nothing that is open: all of that is the parent's."""
        self._start()
        self._is_usable = is_usable

    def _start(self) -> None:
        self._own = threading.local()
        self._connections: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._opening = threading.Lock()
        self._turns = Turns()
        self._gate = Gate()
        self._identity: tuple[int, int] | None = None
        self._log = Log(self.path)
        self._is_usable = True

    def _connection(self) -> Connection:
        if not self._is_usable:
            raise FileRefused(
                f"{self.path}: this process was forked while its parent was in a transaction; "
                "fork when none is open, or start a process of its own with multiprocessing's 'spawn'"
            )
        connection: Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = Connection(
                self._open, self._require_version, self._log, self._timeout_s
            )
            with self._opening:
                self._connections.add(connection)
        if not connection.kind and self._identity not in (None, identity(self.path)):
            raise FileRefused(
                f"{self.path}: it was removed or replaced while this process had it open; stop all that use it, put "
                "the right one in its place together with its -wal, and start them again"
            )
        return connection

    def _open(self) -> sqlite3.Connection:
        with self._opening:
            if self._identity is not None:
                return connect(self.path, self._timeout_s)
            self._require_place()
            raw = connect(self.path, self._timeout_s)
            try:
                self._prepare(raw)
            except BaseException:
                raw.close()
                raise
            self._identity = identity(self.path)
            return raw

    def _require_place(self) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            oldest = ".".join(map(str, OLDEST_SQLITE))
            raise FileRefused(
                f"{self.path}: this Python has SQLite {sqlite3.sqlite_version}, and {oldest} or newer is needed; "
                "use a newer Python, or RabbitMQ and Redis"
            )
        if wrong := misplaced(self.path):
            raise FileRefused(f"{self.path}: {wrong}")

    def _prepare(self, raw: sqlite3.Connection) -> None:
        patiently(lambda: raw.execute(WRITE), self._timeout_s)
        # Whoever has it open by now may send until it is shut; nobody else is to begin.
        if wrong := self._moved(raw) or bring_up(raw, self._schema):
            raise FileRefused(f"{self.path}: {wrong}")
        raw.execute("COMMIT")

    def _require_version(self, raw: sqlite3.Connection) -> None:
        # In every transaction: a newer release may have come since, and changed the tables.
        try:
            version = version_of(raw)
        except sqlite3.OperationalError as error:
            if code_of(error) != sqlite3.SQLITE_ERROR:
                raise
            raise FileRefused(
                f"{self.path}: its tables were removed while this process had it open ({error}); "
                "put them back, or start anew all that use it"
            ) from error
        if wrong := too_new(version) or (version < 0 and self._moved(raw)):
            raise FileRefused(f"{self.path}: {wrong}")

    def _moved(self, raw: sqlite3.Connection) -> str:
        return "" if self._moves else moving(raw)

    @contextmanager
    def _translating(self, connection: Connection) -> Iterator[None]:
        """Raise what SQLite says of the file as an error of the file."""
        try:
            yield
        except sqlite3.Error as error:
            known = translated(error, self.path, at_commit=connection.at_commit)
            if known is None:
                raise
            if code_of(error) != sqlite3.SQLITE_BUSY:
                # The next transaction finds the file as it then is, whatever this connection remembers of it.
                connection.close()
            raise known from error
