"""Who holds messages, and until when; every function works within a transaction of its caller's.

A holder is one consumer of one process. Its lease is one row, and all that it holds is its own for as long as that row
is there: not until the lease is over, but until somebody has taken the row away because of that. So a holder that was
frozen, and that nobody has missed, goes on as if nothing had been.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection


def enter(connection: sqlite3.Connection, queue: str, *, until: int, worker: str) -> int:
    """Return a new holder of messages of *queue*, whose lease ends at *until*; its number is never another's.

    Args:
        connection: in a transaction that writes.
        queue: the logical queue.
        until: in milliseconds since the Unix epoch.
        worker: the host and process id, for people.
    """
    inserted = connection.execute(
        "INSERT INTO actors_holder (until, queue, worker) VALUES (?, ?, ?)", (until, queue, worker)
    )
    assert inserted.lastrowid is not None  # noqa: S101
    return inserted.lastrowid


def renew(connection: sqlite3.Connection, holder: int, *, until: int) -> bool:
    """Let the lease of *holder* end at *until*; return whether it still has what it held."""
    return connection.execute("UPDATE actors_holder SET until = ? WHERE id = ?", (until, holder)).rowcount == 1


def evict(connection: sqlite3.Connection, *, now: int) -> None:
    """Free what those hold whose leases are over at *now*; they were lost with it."""
    over = connection.execute("SELECT id FROM actors_holder WHERE until <= ?", (now,)).fetchall()
    for (holder,) in over:
        connection.execute("UPDATE actors_message SET holder = NULL, lost = lost + 1 WHERE holder = ?", (holder,))
        connection.execute("DELETE FROM actors_holder WHERE id = ?", (holder,))


def leave(connection: sqlite3.Connection, holder: int) -> int:
    """Give back all that *holder* has, which ends; return how many messages that were."""
    given_back = connection.execute("UPDATE actors_message SET holder = NULL WHERE holder = ?", (holder,)).rowcount
    connection.execute("DELETE FROM actors_holder WHERE id = ?", (holder,))
    return given_back


def reconcile(connection: sqlite3.Connection, holder: int, known: Collection[int]) -> None:
    """Give back what *holder* has and does not know of: a commit that failed may have taken it all the same."""
    held = connection.execute("SELECT id FROM actors_message WHERE holder = ?", (holder,)).fetchall()
    unknown = [(message, holder) for (message,) in held if message not in known]
    connection.executemany("UPDATE actors_message SET holder = NULL WHERE id = ? AND holder = ?", unknown)
