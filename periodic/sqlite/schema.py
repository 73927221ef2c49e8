"""The tables of schedulers."""

from __future__ import annotations

from collections.abc import Sequence

SCHEMA: Sequence[str] = (
    # term: the fence; another one each time that somebody begins to lead, or an operator lets no one go on.
    # holder: who leads; '' for nobody. beat: moves while its holder lives. guarded: whether that holds the file beside.
    """
    CREATE TABLE IF NOT EXISTS actors_periodic_lock (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        term INTEGER NOT NULL,
        holder TEXT NOT NULL,
        beat INTEGER NOT NULL,
        guarded INTEGER NOT NULL
    )
    """,
    "CREATE TABLE IF NOT EXISTS actors_periodic_watermark (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS actors_periodic_roster (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL)",
    # time: of the first tick, ISO 8601 in UTC.
    """
    CREATE TABLE IF NOT EXISTS actors_periodic_missed (
        id INTEGER PRIMARY KEY,
        schedule TEXT NOT NULL,
        time TEXT NOT NULL,
        record TEXT NOT NULL,
        UNIQUE (schedule, time)
    )
    """,
    # What each replica tells of itself, as JSON, and when it last did, in milliseconds since the Unix epoch.
    """
    CREATE TABLE IF NOT EXISTS actors_periodic_replicas (
        name TEXT PRIMARY KEY,
        status TEXT NOT NULL,
        seen_at INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    # What operators ask the leader, or tell it; nobody waits for the answer after until_ms.
    """
    CREATE TABLE IF NOT EXISTS actors_periodic_inquiries (
        id TEXT PRIMARY KEY,
        body TEXT NOT NULL,
        until_ms INTEGER NOT NULL,
        answer TEXT
    ) WITHOUT ROWID
    """,
)
