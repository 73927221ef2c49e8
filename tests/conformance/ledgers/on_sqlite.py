"""A ledger in SQLite, in a file or in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

from middleware.stores.sqlite.file import SqliteFile
from periodic.missed import Missed
from periodic.roster import Roster
from periodic.schedule import Schedule
from periodic.sqlite import SCHEMA
from periodic.sqlite.ledger import read
from periodic.sqlite.lock import LEASE_S, LOOK_EVERY_S, Lock
from periodic.sqlite.term import begin
from periodic.takeover import Replica
from periodic.tick import Tick
from periodic.watermark import Watermark
from tests.conformance.ledgers.in_memory import MemoryFile
from tests.conformance.ledgers.subject import Begun

JOBS = "CREATE TABLE IF NOT EXISTS jobs (id TEXT NOT NULL, schedule TEXT NOT NULL)"


Kept = TypeVar("Kept", SqliteFile, MemoryFile)


class OnSqlite(Generic[Kept]):
    """Tables of its own; as in a process, each term's lock is an object of its own."""

    def __init__(self, file: Kept) -> None:
        self.file: Kept = file
        self.refused: set[str] = set()
        self._time_s = 0.0

    def begin(self, replica: Replica, now: datetime) -> Begun:
        lock = Lock(self.file, replica.name, now_s=lambda: self._time_s)
        # A leader that was deposed lives on, and holds the file beside.
        for _ in range(2):
            lock.may_take()
            self._time_s += max(LEASE_S, LOOK_EVERY_S)
        assert lock.may_take()
        suspects: set[str] = set()

        def term(now: datetime) -> Begun:
            term_ = begin(self.file, lock, self.put, suspects, replica, now)
            assert term_ is not None
            return Begun(term_.ledger, term_.positions, term_.replica, term_.ledger.flush, lock.let_go, term)

        try:
            return term(now)
        except Exception:
            lock.let_go()
            raise

    def depose(self, begun: Begun) -> None:
        """Nothing is to be done: it gives no sign of life, and others have seen that for long."""

    def publication(self, schedule: Schedule, tick: Tick) -> tuple[str, str]:
        return tick.id, schedule.name

    def put(self, connection: sqlite3.Connection, publication: tuple[str, str]) -> None:
        connection.execute("INSERT INTO jobs VALUES (?, ?)", publication)
        if publication[1] in self.refused:
            raise OverflowError("full")

    @contextmanager
    def full(self, schedule: str) -> Iterator[None]:
        self.refused.add(schedule)
        yield
        self.refused.discard(schedule)

    def read(self) -> tuple[Roster | None, Watermark | None]:
        with self.file.read() as connection:
            return read(connection)

    def jobs(self) -> list[str]:
        with self.file.read() as connection:
            return [id_ for (id_,) in connection.execute("SELECT id FROM jobs")]

    def missed(self) -> int:
        with self.file.read() as connection:
            return int(connection.execute("SELECT count(*) FROM actors_periodic_missed").fetchone()[0])

    def oldest_missed(self, limit: int) -> list[Missed]:
        with self.file.read() as connection:
            rows = connection.execute("SELECT record FROM actors_periodic_missed ORDER BY id LIMIT ?", (limit,))
            return [Missed.decode(record.encode()) for (record,) in rows]

    def close(self) -> None:
        self.file.close()


def in_file(folder: Path) -> OnSqlite[SqliteFile]:
    return OnSqlite(SqliteFile(folder / "ledger.db", schema=[*SCHEMA, JOBS]))


def in_memory(folder: Path) -> OnSqlite[MemoryFile]:
    return OnSqlite(MemoryFile(folder / "ledger.db", schema=[*SCHEMA, JOBS]))
