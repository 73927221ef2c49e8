"""The ledger in a file: ticks, watermark and roster change in one transaction, which begins with the fence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Generic, TypeVar

from periodic.errors import PeriodicError
from periodic.missed import MOST_MISSED, Missed
from periodic.position import Position
from periodic.protocol import NotTaken
from periodic.roster import Roster
from periodic.sqlite.file import File, Put
from periodic.sqlite.lock import Lock
from periodic.tick import Tick
from periodic.watermark import Watermark

Publication = TypeVar("Publication")


class TakenBack(PeriodicError):
    """The message of a tick was not taken, and with it nothing that was due; the term is over, another may begin."""


class SqliteLedger(Generic[Publication]):
    """Gathers what is to be written until :meth:`flush`, which does it all or not at all.

    So the file is locked for no longer than it takes to write, and never while code of the application makes a message;
    and many ticks that are due at once cost one wait for the disk.

    Args:
        file: has the tables.
        lock: is held.
        put: puts the message of a tick into its queue.
        suspects: schedules whose messages were not taken the last time; each of theirs is tried alone. It is the
            replica's, and outlives a term.
        watermark, roster: as they are in the file.

    Raises:
        LockLost: from every method that writes, when another replica leads; nothing was written.
        Exception: whatever *file* raises.
    """

    def __init__(
        self,
        file: File,
        lock: Lock,
        put: Put[Publication],
        suspects: set[str],
        watermark: Watermark,
        roster: Roster,
    ) -> None:
        self._file = file
        self._lock = lock
        self._put = put
        self._suspects = suspects
        self._watermark = self._written = watermark
        self._roster = roster
        self._pending: list[tuple[str, Publication]] = []
        self._missed: list[Missed] = []

    @property
    def watermark(self) -> Watermark:
        """The watermark, as it is once all is written."""
        return self._watermark

    @property
    def roster(self) -> Roster:
        """The roster, as it was begun with or written."""
        return self._roster

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write what only a leader may."""
        with self._file.write() as connection:
            self._lock.hold(connection)
            yield connection

    def enqueue(self, tick: Tick, publication: Publication, now: datetime) -> None:
        """Enqueue the message of *tick* with the next flush, and move the watermark past it.

        Raises:
            NotTaken: it was tried alone, and is not taken.
        """
        after = self._watermark.past(tick, now)
        if tick.schedule in self._suspects:
            self._enqueue_alone(tick.schedule, publication, after)
        else:
            self._pending.append((tick.schedule, publication))
        self._watermark = after

    def hold_back(self, schedule: str, position: Position) -> None:
        """Leave *schedule* behind at *position*; what is written next says so, and no earlier tick overlooks it."""
        self._watermark = self._watermark.holding_back(schedule, position)

    def record(self, missed: Missed) -> None:
        """Keep a record of ticks that are not enqueued, with the next flush."""
        self._missed.append(missed)

    def write_watermark(self, watermark: Watermark) -> None:
        """Replace the watermark without a tick."""
        self.flush()
        with self.transaction() as connection:
            write_watermark(connection, watermark)
        self._watermark = self._written = watermark

    def write_roster(self, roster: Roster) -> None:
        """Replace the roster."""
        with self.transaction() as connection:
            write_roster(connection, roster)
        self._roster = roster

    def flush(self) -> None:
        """Write all that was gathered.

        Raises:
            TakenBack: a message was not taken, and nothing is written.
        """
        if not self._pending and not self._missed:
            return
        with self.transaction() as connection:
            for schedule, publication in self._pending:
                try:
                    self._insert(connection, schedule, publication)
                except NotTaken as error:
                    self._suspects.add(schedule)
                    raise TakenBack(str(error)) from error
            for missed in self._missed:
                _keep(connection, missed)
            if self._watermark is not self._written:
                write_watermark(connection, self._watermark)
        self._written = self._watermark
        self._pending.clear()
        self._missed.clear()

    def _enqueue_alone(self, schedule: str, publication: Publication, after: Watermark) -> None:
        self.flush()
        with self.transaction() as connection:
            self._insert(connection, schedule, publication)
            write_watermark(connection, after)
        self._written = after
        self._suspects.discard(schedule)

    def _insert(self, connection: sqlite3.Connection, schedule: str, publication: Publication) -> None:
        try:
            self._put(connection, publication)
        except sqlite3.IntegrityError as error:
            raise NotTaken(f"the queue does not take the message of {schedule!r}: {error}") from error
        except sqlite3.Error:
            raise
        except Exception as error:
            raise NotTaken(f"the message of {schedule!r} can't be enqueued: {error!r}") from error


def read(connection: sqlite3.Connection) -> tuple[Roster | None, Watermark | None]:
    """Return roster and watermark as the file has them.

    Raises:
        ValueError: it has something else.
    """
    roster = connection.execute("SELECT text FROM actors_periodic_roster").fetchone()
    watermark = connection.execute("SELECT text FROM actors_periodic_watermark").fetchone()
    return (
        None if roster is None else Roster.decode(roster[0].encode()),
        None if watermark is None else Watermark.decode(watermark[0]),
    )


def write_watermark(connection: sqlite3.Connection, watermark: Watermark) -> None:
    """Replace the watermark in the transaction that is open."""
    connection.execute("INSERT OR REPLACE INTO actors_periodic_watermark VALUES (1, ?)", (watermark.encode(),))


def write_roster(connection: sqlite3.Connection, roster: Roster) -> None:
    """Replace the roster in the transaction that is open."""
    connection.execute("INSERT OR REPLACE INTO actors_periodic_roster VALUES (1, ?)", (roster.encode().decode(),))


def _keep(connection: sqlite3.Connection, missed: Missed) -> None:
    """Keep a record, the newest of a row that begins with the same tick, and no more of them than there may be."""
    connection.execute(
        "INSERT INTO actors_periodic_missed (schedule, time, record) VALUES (?, ?, ?) "
        "ON CONFLICT (schedule, time) DO UPDATE SET record = excluded.record",
        (missed.schedule, missed.time.astimezone(UTC).isoformat(), missed.encode().decode()),
    )
    connection.execute(
        "DELETE FROM actors_periodic_missed WHERE id <= (SELECT max(id) FROM actors_periodic_missed) - ?",
        (MOST_MISSED,),
    )
