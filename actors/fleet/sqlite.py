"""A fleet in a SQLite file: the processes of one machine."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from actors.fleet.protocol import MOST_EVENTS, MOST_MEMBERS, Interest, Kept
from middleware.stores import StoreUnavailable
from middleware.stores.sqlite import FileRefused, FileUnavailable, SqliteFile

# Times are milliseconds since the Unix epoch. Ids of events are never used twice: they are cursors.
SCHEMA: Sequence[str] = (
    """
    CREATE TABLE IF NOT EXISTS actors_fleet_member (
        name TEXT PRIMARY KEY,
        heard INTEGER NOT NULL,
        until INTEGER NOT NULL,
        told TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX IF NOT EXISTS actors_fleet_member_heard ON actors_fleet_member (heard)",
    "CREATE INDEX IF NOT EXISTS actors_fleet_member_until ON actors_fleet_member (until)",
    """
    CREATE TABLE IF NOT EXISTS actors_fleet_interest (
        name TEXT PRIMARY KEY,
        until INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS actors_fleet_event (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        event TEXT NOT NULL
    )
    """,
)
_BEAT = """
INSERT INTO actors_fleet_member VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET heard = excluded.heard, until = excluded.until, told = excluded.told
"""
_TRIM = """
DELETE FROM actors_fleet_member WHERE name IN (
    SELECT name FROM actors_fleet_member ORDER BY heard DESC LIMIT -1 OFFSET ?)
"""
_WANT = """
INSERT INTO actors_fleet_interest VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET until = max(until, excluded.until)
"""
_WATCHED, _FOLLOWED = "watched", "followed"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class SqliteFleet:
    """See :class:`~actors.fleet.protocol.Fleet`. Nothing here waits for the disk: a power cut ends all of it anyhow.

    Args:
        file: has the tables of ``SCHEMA``.
        now: returns the time in milliseconds since the Unix epoch. All processes of a machine have the same.
    """

    def __init__(self, file: SqliteFile, *, now: Callable[[], int] = _now_ms) -> None:
        self._file = file
        self._now = now

    def beat(self, member: str, text: str, *, keep_ms: int) -> Interest:
        """Keep *text* as what *member* tells of itself."""
        with self._writing() as connection:
            now = self._now()
            connection.execute("DELETE FROM actors_fleet_member WHERE until <= ?", (now,))
            connection.execute(_BEAT, (member, now, now + keep_ms, text))
            connection.execute(_TRIM, (MOST_MEMBERS,))
            return _interest(connection, now)

    def leave(self, member: str) -> None:
        """Forget *member*."""
        with self._writing() as connection:
            connection.execute("DELETE FROM actors_fleet_member WHERE name = ?", (member,))

    def members(self) -> Sequence[Kept]:
        """Return what is kept of each process."""
        now = self._now()
        with self._reading() as connection:
            found = connection.execute(
                "SELECT name, told, heard FROM actors_fleet_member WHERE until > ? ORDER BY heard DESC", (now,)
            ).fetchall()
        return [Kept(member, text, max(0, now - heard)) for member, text, heard in found]

    def interest(self) -> Interest:
        """Return what is wanted."""
        with self._reading() as connection:
            return _interest(connection, self._now())

    def want(self, interest: Interest, *, for_ms: int) -> None:
        """Let all processes know of *interest*."""
        wanted = ((interest.watched, _WATCHED), (interest.followed, _FOLLOWED))
        with self._writing() as connection:
            until = self._now() + for_ms
            connection.executemany(_WANT, [(name, until) for is_wanted, name in wanted if is_wanted])

    def publish(self, events: Sequence[str]) -> None:
        """Add *events*."""
        with self._writing() as connection:
            connection.executemany("INSERT INTO actors_fleet_event (event) VALUES (?)", [(each,) for each in events])
            connection.execute("DELETE FROM actors_fleet_event WHERE id <= ?", (_last(connection) - MOST_EVENTS,))

    def newest(self, limit: int) -> tuple[Sequence[str], str]:
        """Return the newest events, and the cursor of what comes after them."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT event FROM actors_fleet_event ORDER BY id DESC LIMIT ?", (limit,)
            ).fetchall()
            return [event for (event,) in reversed(found)], str(_last(connection))

    def after(self, cursor: str, *, limit: int) -> tuple[Sequence[str], str]:
        """Return the events after *cursor*, and the next cursor."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT id, event FROM actors_fleet_event WHERE id > ? ORDER BY id LIMIT ?", (int(cursor), limit)
            ).fetchall()
        return [event for _, event in found], str(found[-1][0]) if found else cursor

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with _available(), self._file.write(synced=False) as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with _available(), self._file.read() as connection:
            yield connection


@contextmanager
def _available() -> Iterator[None]:
    try:
        yield
    except (FileUnavailable, FileRefused) as error:
        raise StoreUnavailable(str(error)) from error


def _interest(connection: sqlite3.Connection, now: int) -> Interest:
    rows = connection.execute("SELECT name FROM actors_fleet_interest WHERE until > ?", (now,)).fetchall()
    wanted = {name for (name,) in rows}
    return Interest(_WATCHED in wanted, _FOLLOWED in wanted)


def _last(connection: sqlite3.Connection) -> int:
    """Return the id of the newest event there has been."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'actors_fleet_event'").fetchone()
    return int(row[0]) if row is not None else 0
