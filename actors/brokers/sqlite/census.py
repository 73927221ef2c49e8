"""Which queues there are in a file, and who takes from them; every function works within a caller's transaction."""

from __future__ import annotations

import sqlite3

# Each is one step into an index, whose next queue is found without going through the one before.
_NEXT = (
    "SELECT min(queue) FROM actors_message WHERE available = 0 AND holder IS NULL AND queue > ?",
    "SELECT min(queue) FROM actors_message WHERE available > 0 AND queue > ?",
    "SELECT min(queue) FROM actors_dead_letter WHERE queue > ?",
)


def names(connection: sqlite3.Connection) -> set[str]:
    """Return the logical queues that have messages, in whatever state, or dead letters."""
    found = {name for (name,) in connection.execute("SELECT queue FROM actors_holder")}
    for statement in _NEXT:
        name = ""
        while (name := connection.execute(statement, (name,)).fetchone()[0]) is not None:
            found.add(name)
    return found


def holders(connection: sqlite3.Connection, queue: str, *, now: int) -> int:
    """Return how many consumers have a lease on messages of *queue* at *now*; those that have none have no lease."""
    found: int = connection.execute(
        "SELECT count(*) FROM actors_holder WHERE queue = ? AND until > ?", (queue, now)
    ).fetchone()[0]
    return found
