"""The version of our tables in a file, and how an older one becomes this one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

# The statements that make version 2 of version 1, then those that make version 3 of that, and so on.
MIGRATIONS: Sequence[Sequence[str]] = ()

# Not PRAGMA user_version: the file may be an application's own, which has its own use for that.
_TABLE = """
CREATE TABLE IF NOT EXISTS actors_schema (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
)
"""

# There while what is in the file is moved elsewhere, and from then on.
_MOVING = "SELECT 1 FROM sqlite_schema WHERE name = 'actors_moving'"


def bring_up(raw: sqlite3.Connection, schema: Sequence[str], migrations: Sequence[Sequence[str]] = MIGRATIONS) -> str:
    """Make what is lacking of *schema*, and of an older version the current one, in the transaction that is open.

    Returns:
        Why that can't be, as :func:`too_new` says it; then nothing has been changed.
    """
    raw.execute(_TABLE)
    there = version_of(raw)
    version = abs(there)
    if wrong := too_new(version, migrations):
        return wrong
    steps = migrations[version - 1 :] if version else ()
    for statement in (*(each for step in steps for each in step), *schema):
        raw.execute(statement)
    current = len(migrations) + 1
    if version != current:
        raw.execute("INSERT OR REPLACE INTO actors_schema VALUES (1, ?)", (-current if there < 0 else current,))
    return ""


def moving(raw: sqlite3.Connection) -> str:
    """Return where what is in the file goes, or has gone, and what to do; ``""`` if it stays."""
    if raw.execute(_MOVING).fetchone() is None:
        return ""
    [why] = raw.execute("SELECT why FROM actors_moving").fetchone()
    return str(why)


def version_of(raw: sqlite3.Connection) -> int:
    """Return the version of the tables, 0 if there are none yet; below 0 if what was in them is elsewhere now."""
    version: int
    [version] = raw.execute("SELECT version FROM actors_schema").fetchone() or [0]
    return version


def shut(raw: sqlite3.Connection, *, is_shut: bool) -> None:
    """Let nobody use the tables but who moves what is in them, or everybody again."""
    raw.execute(f"UPDATE actors_schema SET version = {'-' if is_shut else ''}abs(version)")  # noqa: S608


def too_new(version: int, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> str:
    """Return what is wrong with tables of *version*; ``""`` if they are of this release's, or of an older one."""
    current = len(migrations) + 1
    if version <= current:
        return ""
    return (
        f"its tables are of version {version}, and this release knows none above {current}; "
        "run the release that made them, or name another file"
    )
