"""The lock: who holds it leads."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from periodic.errors import PeriodicError
from periodic.sqlite.file import File
from periodic.sqlite.guard import Guard

# How long the holder may give no sign of life, in seconds, and how often it does.
LEASE_S, BEAT_EVERY_S = 5.0, 1.0
# How often who stands by looks for that sign, in seconds.
LOOK_EVERY_S = 1.0


class LockLost(PeriodicError):
    """Another replica leads now, or an operator has let this one go on no more."""


@dataclass(frozen=True, slots=True)
class _Row:
    term: int = 0
    holder: str = ""
    beat: int = 0
    guarded: int = 0


class Lock:
    """This replica's hold on the lock, a row in the file.

    Each transaction of a leader begins with :meth:`hold`. Since writers come one after the other, who has lost the lock
    finds that out before it has changed anything: that is the fence, whatever time it is anywhere. All else here is
    about how soon the next one leads. The death of a holder frees the guard at once; that one is frozen shows when its
    beat stands still for as long as a lease, by the looker's own stopwatch, since a clock may be set.

    Args:
        file: has the tables.
        name: of this replica.
        now_s: a stopwatch, in seconds.

    Raises:
        Exception: from every method, whatever *file* raises.
    """

    def __init__(self, file: File, name: str, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._name = name
        self._now_s = now_s
        self._guard = Guard(file.path.with_name(f"{file.path.name}-scheduler"))
        self._term: int | None = None
        self._seen = _Row()
        self._seen_at = self._looked_at = float("-inf")

    def may_take(self) -> bool:
        """Return whether it is worth a try to take it; cheap enough to be asked all the time."""
        if self._term is not None or self._guard.try_hold():
            return True
        if self._now_s() - self._looked_at >= LOOK_EVERY_S:
            with self._file.read() as connection:
                self._look_at(_row(connection))
        return not self._seen.holder or self._is_over(self._seen)

    def take(self, connection: sqlite3.Connection) -> bool:
        """Take it, in the transaction that is open, if nobody else holds it who lives; return whether it is held."""
        row = _row(connection)
        is_dead = row.guarded and self._guard.is_held
        if not (not row.holder or is_dead or row.term == self._term or self._is_over(row)):
            # Who took it from one that was frozen gets the guard as soon as that one lets it go.
            self._guard.let_go()
            self._look_at(row)
            return False
        self._term = row.term + 1
        connection.execute(
            "INSERT OR REPLACE INTO actors_periodic_lock (id, term, holder, beat, guarded) VALUES (1, ?, ?, ?, ?)",
            (self._term, self._name, row.beat + 1, self._guard.is_held),
        )
        return True

    def hold(self, connection: sqlite3.Connection) -> None:
        """Do nothing, if it is held; in the transaction that is open nobody else can take it.

        Raises:
            LockLost: it is held no more.
        """
        row = _row(connection)
        if self._term is None or row.term != self._term:
            raise LockLost(f"{row.holder or 'an operator'} has taken the lock from {self._name}")

    def beat(self, connection: sqlite3.Connection) -> None:
        """Give a sign of life; the lock is held."""
        connection.execute(
            "UPDATE actors_periodic_lock SET beat = beat + 1, guarded = ?", (int(self._guard.try_hold()),)
        )

    def let_go(self) -> None:
        """Let another one lead at once; in the file this one still does, unless :meth:`release` says otherwise."""
        self._term = None
        self._guard.let_go()

    def release(self, connection: sqlite3.Connection) -> None:
        """Say in the file that this one leads no more."""
        connection.execute("UPDATE actors_periodic_lock SET holder = '' WHERE holder = ?", (self._name,))

    def _look_at(self, row: _Row) -> None:
        self._looked_at = self._now_s()
        if row != self._seen:
            self._seen, self._seen_at = row, self._looked_at

    def _is_over(self, row: _Row) -> bool:
        return row == self._seen and self._now_s() - self._seen_at >= LEASE_S


def holder(connection: sqlite3.Connection) -> str:
    """Return the name of who leads, as far as the file knows; empty for nobody."""
    return _row(connection).holder


def break_lock(connection: sqlite3.Connection) -> None:
    """Take the lock from whoever holds it, dead, frozen or alive: nobody holds it then."""
    term = _row(connection).term + 1
    connection.execute("INSERT OR REPLACE INTO actors_periodic_lock VALUES (1, ?, '', 0, 0)", (term,))


def _row(connection: sqlite3.Connection) -> _Row:
    found = connection.execute("SELECT term, holder, beat, guarded FROM actors_periodic_lock").fetchone()
    return _Row() if found is None else _Row(*found)
