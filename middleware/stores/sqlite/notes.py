"""Notes of messages that are to be aborted, as rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from middleware.stores.notes import MOST_NOTES, NOTE_MS
from middleware.stores.sqlite.rows import from_text, to_text

_ANY = "SELECT 1 FROM actors_aborts LIMIT 1"
# The join is written in the order in which it is to be done.
_FIND = """
SELECT owner, number FROM (SELECT value AS asked FROM json_each(?)) CROSS JOIN actors_aborts ON owner = asked
"""
_KEEP = "INSERT INTO actors_aborts VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET number = excluded.number"
_SWEEP = "DELETE FROM actors_aborts WHERE number <= ?"
_HIGHEST_OF_REST = "SELECT number FROM actors_aborts ORDER BY number DESC LIMIT 1 OFFSET ?"
LIST = "SELECT owner, number FROM actors_aborts WHERE number > ? ORDER BY number LIMIT ?"


def find(raw: sqlite3.Connection, owners: Iterable[str]) -> dict[str, int]:
    """Return the numbers of the notes of those of *owners* that have one; next to nothing where nobody has."""
    if raw.execute(_ANY).fetchone() is None:
        return {}
    # What is no plain text is too rare to be asked for with all others.
    plain, others = [], {}
    for owner in owners:
        if owner.isascii():
            plain.append(owner)
        elif row := raw.execute("SELECT number FROM actors_aborts WHERE owner = ?", (to_text(owner),)).fetchone():
            others[owner] = row[0]
    return dict(raw.execute(_FIND, (json.dumps(plain),)).fetchall()) | others


def keep(raw: sqlite3.Connection, owner: str, number: int, now: int) -> None:
    """Keep a note with *number*, the highest; delete those that are too old, and too many."""
    raw.execute(_KEEP, (to_text(owner), number))
    [highest] = raw.execute(_HIGHEST_OF_REST, (MOST_NOTES,)).fetchone() or [0]
    raw.execute(_SWEEP, (max(highest, (now - NOTE_MS) * 1000),))


def drop(raw: sqlite3.Connection, owners: Iterable[str]) -> None:
    """Delete the notes of *owners*."""
    raw.executemany("DELETE FROM actors_aborts WHERE owner = ?", [(to_text(owner),) for owner in owners])


def list_after(raw: sqlite3.Connection, after: int, limit: int) -> list[tuple[str, int]]:
    """Return up to *limit* notes with numbers above *after*, in their order."""
    return [(from_text(owner), number) for owner, number in raw.execute(LIST, (after, limit))]
