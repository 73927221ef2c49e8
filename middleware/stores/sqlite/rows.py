"""Records in the form of rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from middleware.stores.protocol import Kept, Record, State

# The module takes plain texts and numbers far faster than what is derived from them, as the state is.
_NAMES = tuple(name for name in Record.__slots__ if name != "state")
_STATES = {state.value: state for state in State}
_fields = attrgetter(*_NAMES)
_COLUMNS = (*_NAMES, "state", "token", "unstarted")

# Not INSERT OR REPLACE, which moves the row.
_KEEP = f"""
INSERT INTO actors_records ({", ".join(_COLUMNS)}) VALUES ({", ".join("?" * len(_COLUMNS))})
ON CONFLICT (digest) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name != "digest")}
"""  # noqa: S608
_SELECT = f"SELECT {', '.join(_COLUMNS)}"
FIND = f"{_SELECT} FROM actors_records WHERE digest = ? AND expires > ?"
# The join is written in the order in which it is to be done.
FIND_ALL = f"""
{_SELECT} FROM (SELECT value AS asked FROM json_each(?)) CROSS JOIN actors_records ON digest = asked
WHERE expires > ?
"""  # noqa: S608
LIST = f"""
{_SELECT}, id FROM actors_records WHERE is_open = 1 AND (expires, id) > (?, ?) ORDER BY expires, id LIMIT ?
"""

_ALL = f"{_SELECT}, id FROM actors_records WHERE id > ? ORDER BY id LIMIT ?"


def find_all(raw: sqlite3.Connection, digests: Iterable[str], now: int) -> dict[str, Kept | None]:
    """Return what is kept of each of *digests*, with one statement; those that are no plain texts are left out."""
    found: dict[str, Kept | None] = {digest: None for digest in digests if digest.isascii()}
    for row in raw.execute(FIND_ALL, (json.dumps(list(found)), now)):
        kept = _to_kept(row)
        found[kept.record.digest] = kept
    return found


def find(raw: sqlite3.Connection, digest: str, now: int) -> Kept | None:
    """Return what is kept of *digest*, and has not expired."""
    row = raw.execute(FIND, (to_text(digest), now)).fetchone()
    return _to_kept(row) if row is not None else None


def list_open(raw: sqlite3.Connection, place: tuple[int, int], limit: int) -> list[tuple[Record, int]]:
    """Return up to *limit* records that are not done, each with its id, which follow *place*: an expiry and an id."""
    return [(_to_kept(row).record, row_id) for *row, row_id in raw.execute(LIST, (*place, limit))]


def list_all(raw: sqlite3.Connection, after: int, limit: int) -> list[tuple[Kept, int]]:
    """Return up to *limit* of what is kept, each with its id, which follow the id *after*."""
    return [(_to_kept(row), row_id) for *row, row_id in raw.execute(_ALL, (after, limit))]


def keep(raw: sqlite3.Connection, all_kept: Iterable[Kept]) -> None:
    """Keep *all_kept* in place of what there is."""
    rows = [(*_fields(kept.record), kept.record.state.value, kept.token, int(kept.unstarted)) for kept in all_kept]
    try:
        raw.executemany(_KEEP, rows)
    except UnicodeEncodeError:
        # Too rare to look for it in every text. Those that are kept already are kept once more.
        raw.executemany(_KEEP, [[to_text(each) if isinstance(each, str) else each for each in row] for row in rows])


def to_text(text: str) -> str | bytes:
    """Return *text* as it is kept: such as SQLite can't hold, since it is no Unicode, in bytes."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def from_text(kept: str | bytes) -> str:
    """Return the text that is kept so."""
    return kept if isinstance(kept, str) else kept.decode("utf-8", "surrogatepass")


def _to_kept(row: Sequence[Any]) -> Kept:
    if bytes in map(type, row):
        row = [from_text(each) if isinstance(each, bytes) else each for each in row]
    *fields, state, token, unstarted = row
    return Kept(Record(fields[0], _STATES[state], *fields[1:]), token, bool(unstarted))
