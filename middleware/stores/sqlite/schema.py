"""The tables of the idempotency store."""

from __future__ import annotations

from collections.abc import Sequence

# What lists and sweeps go by: a record is in one place of one index, with those that are open apart from the others.
_RECORDS = """
CREATE TABLE IF NOT EXISTS actors_records (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    owner TEXT NOT NULL,
    fence INTEGER NOT NULL,
    until INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    replays INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    result TEXT NOT NULL,
    error TEXT NOT NULL,
    changed INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    token TEXT NOT NULL,
    unstarted INTEGER NOT NULL,
    is_open INTEGER AS (state IN ('running', 'waiting', 'failed', 'unknown'))
)
"""
_BY_EXPIRY = "CREATE INDEX IF NOT EXISTS actors_records_by_expiry ON actors_records (is_open, expires)"

_ALIASES = """
CREATE TABLE IF NOT EXISTS actors_aliases (
    owner TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    expires INTEGER NOT NULL
) WITHOUT ROWID
"""
_ALIASES_BY_EXPIRY = "CREATE INDEX IF NOT EXISTS actors_aliases_by_expiry ON actors_aliases (expires)"

_GROUPS = """
CREATE TABLE IF NOT EXISTS actors_groups (
    name TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    expires INTEGER NOT NULL
) WITHOUT ROWID
"""
_GROUPS_BY_EXPIRY = "CREATE INDEX IF NOT EXISTS actors_groups_by_expiry ON actors_groups (expires)"
_ARRIVED = """
CREATE TABLE IF NOT EXISTS actors_arrived (
    name TEXT NOT NULL REFERENCES actors_groups ON DELETE CASCADE,
    member TEXT NOT NULL,
    PRIMARY KEY (name, member)
) WITHOUT ROWID
"""

# Which messages are to be aborted.
_ABORTS = """
CREATE TABLE IF NOT EXISTS actors_aborts (
    owner TEXT PRIMARY KEY,
    number INTEGER NOT NULL
) WITHOUT ROWID
"""
_ABORTS_BY_NUMBER = "CREATE INDEX IF NOT EXISTS actors_aborts_by_number ON actors_aborts (number)"

# Who has a seat, who waits for one, and how long seats are held of late.
_SEATS = """
CREATE TABLE IF NOT EXISTS actors_seats (
    name TEXT NOT NULL,
    token TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (name, token)
) WITHOUT ROWID
"""
_SEATS_BY_END = "CREATE INDEX IF NOT EXISTS actors_seats_by_end ON actors_seats (until)"
_LINE = """
CREATE TABLE IF NOT EXISTS actors_line (
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    since INTEGER NOT NULL,
    due INTEGER NOT NULL,
    PRIMARY KEY (name, owner)
) WITHOUT ROWID
"""
_LINE_BY_AGE = "CREATE INDEX IF NOT EXISTS actors_line_by_age ON actors_line (name, since, owner)"
_LINE_BY_LOOK = "CREATE INDEX IF NOT EXISTS actors_line_by_look ON actors_line (due)"
_PACES = """
CREATE TABLE IF NOT EXISTS actors_paces (
    name TEXT PRIMARY KEY,
    pace REAL NOT NULL,
    changed INTEGER NOT NULL
) WITHOUT ROWID
"""
_PACES_BY_CHANGE = "CREATE INDEX IF NOT EXISTS actors_paces_by_change ON actors_paces (changed)"

# The highest fencing token so far, in its only row.
_FENCE = """
CREATE TABLE IF NOT EXISTS actors_fence (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last INTEGER NOT NULL
)
"""

SCHEMA: Sequence[str] = (
    _RECORDS,
    _BY_EXPIRY,
    _ALIASES,
    _ALIASES_BY_EXPIRY,
    _GROUPS,
    _GROUPS_BY_EXPIRY,
    _ARRIVED,
    _ABORTS,
    _ABORTS_BY_NUMBER,
    _SEATS,
    _SEATS_BY_END,
    _LINE,
    _LINE_BY_AGE,
    _LINE_BY_LOOK,
    _PACES,
    _PACES_BY_CHANGE,
    _FENCE,
)
