"""Rows that have expired go away, a few with each exchange."""

from __future__ import annotations

import sqlite3

# A clock that is set back for so long brings nothing back to life, and loses nothing that is to live on.
GRACE_MS = 10 * 60 * 1000
# So many for each row that comes, so that what has piled up goes down.
_FOR_EACH = 2

RECORDS = """
DELETE FROM actors_records WHERE id IN (
    SELECT id FROM actors_records WHERE is_open = ? AND expires <= ? ORDER BY expires LIMIT ?)
"""
ALIASES = """
DELETE FROM actors_aliases WHERE owner IN (
    SELECT owner FROM actors_aliases WHERE expires <= ? ORDER BY expires LIMIT ?)
"""
# What has arrived in them goes with them.
GROUPS = """
DELETE FROM actors_groups WHERE name IN (
    SELECT name FROM actors_groups WHERE expires <= ? ORDER BY expires LIMIT ?)
"""


def sweep_records(raw: sqlite3.Connection, now: int, *, coming: int) -> None:
    """Delete expired records and aliases: at most a few times as many as are *coming*."""
    before, most = now - GRACE_MS, coming * _FOR_EACH
    for is_open in (0, 1):
        raw.execute(RECORDS, (is_open, before, most))
    raw.execute(ALIASES, (before, most))


def sweep_groups(raw: sqlite3.Connection, now: int) -> None:
    """Delete expired groups: at most a few for the one that is coming."""
    raw.execute(GROUPS, (now - GRACE_MS, _FOR_EACH))
