"""Dead letters in their table; every function works within a transaction of its caller's."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from middleware.letter import Letter

# How many of those whose time is over are removed at once.
STEP = 100


@dataclass(frozen=True, slots=True)
class Burial:
    """A message on its way to the dead letters.

    Attributes:
        letter: what is said of it.
        body: the message; of one that can't be decoded, byte for byte what was sent.
        expires: when it is dropped, in milliseconds since the Unix epoch; None for never.
    """

    letter: Letter
    body: bytes
    expires: int | None = None


def bury(connection: sqlite3.Connection, burial: Burial) -> None:
    """Put a message among the dead letters."""
    letter = burial.letter
    connection.execute(
        "INSERT INTO actors_dead_letter"
        " (letter, queue, message_id, actor, reason, error_type, fingerprint, died, expires, header, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            letter.id,
            letter.queue,
            letter.message_id,
            letter.actor,
            letter.reason,
            letter.error_type,
            letter.fingerprint,
            letter.died,
            burial.expires,
            json.dumps(letter.header()),
            burial.body,
        ),
    )


def count(connection: sqlite3.Connection, queue: str, *, now: int) -> int:
    """Return how many dead letters of *queue* there are at *now*."""
    found: int = connection.execute(
        "SELECT count(*) FROM actors_dead_letter WHERE queue = ? AND (expires IS NULL OR expires > ?)", (queue, now)
    ).fetchone()[0]
    return found


def has_expired(connection: sqlite3.Connection, *, now: int) -> bool:
    """Return whether there is one whose time is over at *now*."""
    found = connection.execute("SELECT 1 FROM actors_dead_letter WHERE expires <= ? LIMIT 1", (now,)).fetchone()
    return found is not None


def expire(connection: sqlite3.Connection, *, now: int) -> None:
    """Remove some of those whose time is over at *now*."""
    connection.execute(
        "DELETE FROM actors_dead_letter WHERE id IN (SELECT id FROM actors_dead_letter WHERE expires <= ? LIMIT ?)",
        (now, STEP),
    )


def drop(connection: sqlite3.Connection, queue: str, *, limit: int) -> int:
    """Delete up to *limit* dead letters of *queue*; return how many that were."""
    return connection.execute(
        "DELETE FROM actors_dead_letter WHERE id IN (SELECT id FROM actors_dead_letter WHERE queue = ? LIMIT ?)",
        (queue, limit),
    ).rowcount
