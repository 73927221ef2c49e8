"""Messages in their queues: put, taken, counted. Every function works within a transaction of its caller's.

Of what is ready, the highest priority comes first, and of one priority what was sent first; what becomes ready later,
or is given back, takes its place by when it was sent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

# How many delayed messages become ready in one transaction: it must not keep others from writing for long.
STEP = 1_000


@dataclass(frozen=True, slots=True)
class Queued:
    """A message to put into a queue.

    Attributes:
        available: when it may run, in milliseconds since the Unix epoch; 0 for at once.
        sent: when it was sent, likewise.
    """

    queue: str
    message_id: str
    actor: str
    body: bytes
    sent: int
    priority: int = 0
    available: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that a holder has taken.

    Attributes:
        id: of its row; names this message for as long as the file lives.
        lost: how many holders were lost that had it before.
    """

    id: int
    message_id: str
    lost: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Counts:
    """How many messages of a queue are in each state."""

    ready: int
    delayed: int
    held: int


def put(connection: sqlite3.Connection, messages: Iterable[Queued]) -> None:
    """Put *messages* into their queues."""
    connection.executemany(
        "INSERT INTO actors_message (queue, priority, available, lost, sent, message_id, actor, body)"
        " VALUES (?, ?, ?, 0, ?, ?, ?, ?)",
        [
            (each.queue, each.priority, each.available, each.sent, each.message_id, each.actor, each.body)
            for each in messages
        ],
    )


def release_due(connection: sqlite3.Connection, queue: str, *, now: int) -> None:
    """Let what is due in *queue* by *now* become ready; the first thousand of it."""
    connection.execute(
        "UPDATE actors_message SET available = 0 WHERE id IN ("
        " SELECT id FROM actors_message WHERE queue = ? AND available > 0 AND available <= ?"
        " ORDER BY available LIMIT ?)",
        (queue, now, STEP),
    )


def claim(connection: sqlite3.Connection, queue: str, holder: int, *, limit: int) -> list[Taken]:
    """Let *holder* take up to *limit* messages that are ready in *queue*; return them in their order."""
    rows = connection.execute(
        "UPDATE actors_message SET holder = ? WHERE id IN ("
        " SELECT id FROM actors_message WHERE queue = ? AND available = 0 AND holder IS NULL"
        " ORDER BY priority DESC, id LIMIT ?)"
        " RETURNING priority, id, message_id, lost, body",
        (holder, queue, limit),
    ).fetchall()
    # In which order an UPDATE returns its rows is not said.
    rows.sort(key=lambda row: (-row[0], row[1]))
    return [Taken(*row[1:]) for row in rows]


def next_moment(connection: sqlite3.Connection, queue: str, *, without: int | None = None) -> int | None:
    """Return when there is something to take in *queue*, in milliseconds since the Unix epoch; None for not so far.

    It is 0 where something is ready. A lease may be renewed before the moment at which it ends. That of the holder
    *without* does not count.
    """
    ready = "SELECT 1 FROM actors_message WHERE queue = ? AND available = 0 AND holder IS NULL LIMIT 1"
    if connection.execute(ready, (queue,)).fetchone():
        return 0
    delayed = "SELECT min(available) FROM actors_message WHERE queue = ? AND available > 0"
    leases = "SELECT min(until) FROM actors_holder WHERE queue = ? AND id IS NOT ?"
    moments = [
        connection.execute(delayed, (queue,)).fetchone()[0],
        connection.execute(leases, (queue, without)).fetchone()[0],
    ]
    return min((moment for moment in moments if moment is not None), default=None)


def count(connection: sqlite3.Connection, queue: str, *, now: int) -> Counts:
    """Return how many messages of *queue* are in each state at *now*; what is due is ready, whoever may take it."""
    one = {
        "ready": "SELECT count(*) FROM actors_message WHERE queue = ? AND available = 0 AND holder IS NULL",
        "due": "SELECT count(*) FROM actors_message WHERE queue = ? AND available > 0 AND available <= ?",
        "delayed": "SELECT count(*) FROM actors_message WHERE queue = ? AND available > 0 AND available > ?",
        "held": "SELECT count(*) FROM actors_message WHERE holder IS NOT NULL AND queue = ?",
    }
    number = {
        name: connection.execute(statement, (queue, now)[: statement.count("?")]).fetchone()[0]
        for name, statement in one.items()
    }
    return Counts(number["ready"] + number["due"], number["delayed"], number["held"])


def drop(connection: sqlite3.Connection, queue: str, *, limit: int) -> int:
    """Delete up to *limit* messages of *queue* that nobody holds; return how many that were."""
    states = ("available = 0 AND holder IS NULL", "available > 0")
    dropped = 0
    for state in states:
        dropped += connection.execute(
            "DELETE FROM actors_message WHERE id IN ("  # noqa: S608
            f" SELECT id FROM actors_message WHERE queue = ? AND {state} LIMIT ?)",
            (queue, limit - dropped),
        ).rowcount
    return dropped
