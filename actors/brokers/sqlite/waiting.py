"""Delayed messages as operators deal with them; every function works within a transaction of its caller's."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

# When a message is due, in milliseconds since the Unix epoch, and the number of its row.
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Delayed:
    """A delayed message in its table.

    Attributes:
        row: its number.
        message_id: its id.
        queue: the logical queue.
        due: when it becomes ready, in milliseconds since the Unix epoch.
        body: the message.
    """

    row: int
    message_id: str
    queue: str
    due: int
    body: bytes


def names(connection: sqlite3.Connection) -> list[str]:
    """Return the queues that have delayed messages; each costs one step into the index."""
    found: list[str] = []
    following = "SELECT min(queue) FROM actors_message WHERE available > 0 AND queue > ?"
    while (name := connection.execute(following, (found[-1] if found else "",)).fetchone()[0]) is not None:
        found.append(name)
    return found


def places(connection: sqlite3.Connection, queue: str, actor: str | None, *, after: Place, limit: int) -> list[Place]:
    """Return the places of the soonest due messages of *queue*, of *actor* alone if there is one.

    Args:
        connection: in a transaction.
        queue: the logical queue.
        actor: its name.
        after: behind which place to begin.
        limit: how many to return at most.
    """
    return connection.execute(
        "SELECT available, id FROM actors_message WHERE queue = ? AND available > 0 AND (available, id) > (?, ?)"
        " AND (? IS NULL OR actor = ?) ORDER BY available, id LIMIT ?",
        (queue, *after, actor, actor, limit),
    ).fetchall()


def at(connection: sqlite3.Connection, place: Place) -> Delayed:
    """Return the message at *place*, which is there."""
    row = connection.execute(
        "SELECT id, message_id, queue, available, body FROM actors_message WHERE id = ?", (place[1],)
    ).fetchone()
    return Delayed(*row)


def named(connection: sqlite3.Connection, message_ids: Collection[str]) -> list[Delayed]:
    """Return the delayed messages with these ids, and copies of them, the soonest due first."""
    rows = connection.execute(
        "SELECT id, message_id, queue, available, body FROM actors_message"
        " WHERE message_id IN (SELECT value FROM json_each(?)) AND available > 0 ORDER BY available, id",
        (json.dumps(list(message_ids)),),
    )
    return [Delayed(*row) for row in rows]


def drop(connection: sqlite3.Connection, rows: Collection[int]) -> None:
    """Delete the messages in *rows*, which are there."""
    connection.execute(
        "DELETE FROM actors_message WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(rows)),)
    )


def release(connection: sqlite3.Connection, rows: Collection[int]) -> None:
    """Let the messages in *rows*, which are there, be ready."""
    connection.execute(
        "UPDATE actors_message SET available = 0 WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(rows)),),
    )
