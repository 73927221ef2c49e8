"""Seats as rows; all calls are within a transaction, and are given the time in milliseconds since the Unix epoch."""

from __future__ import annotations

import sqlite3

from middleware.stores.seats import (
    FIRST_PACE_MS,
    GRACE_MS,
    PACE_MS,
    SeatAnswer,
    SeatRequest,
    look_again_ms,
    may_sit,
    pace_after,
)
from middleware.stores.sqlite.rows import to_text

_SINCE = "SELECT since FROM actors_line WHERE name = ? AND owner = ?"
AHEAD = "SELECT count(*) FROM actors_line WHERE name = ? AND (since, owner) < (?, ?)"
_WAIT = "INSERT INTO actors_line VALUES (?, ?, ?, ?) ON CONFLICT (name, owner) DO UPDATE SET due = excluded.due"
_TAKE = "INSERT INTO actors_seats VALUES (?, ?, ?) ON CONFLICT (name, token) DO UPDATE SET until = excluded.until"
_PACE = "SELECT pace FROM actors_paces WHERE name = ?"
_KEEP_PACE = """
INSERT INTO actors_paces VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET pace = excluded.pace, changed = excluded.changed
"""
# A few for the one that is noted.
SWEEP_PACES = """
DELETE FROM actors_paces WHERE name IN (SELECT name FROM actors_paces WHERE changed <= ? ORDER BY changed LIMIT 2)
"""


def sit(raw: sqlite3.Connection, request: SeatRequest, now: int) -> SeatAnswer:
    """Give a seat to *request*, or a place in the line."""
    sweep(raw, now)
    owner = to_text(request.owner)
    [since] = raw.execute(_SINCE, (request.name, owner)).fetchone() or [now - request.age_ms]
    [ahead] = raw.execute(AHEAD, (request.name, since, owner)).fetchone()
    if _holds(raw, request) or may_sit(request.limit, _taken(raw, request.name), ahead):
        raw.execute(_TAKE, (request.name, request.token, now + request.lease_ms))
        raw.execute("DELETE FROM actors_line WHERE name = ? AND owner = ?", (request.name, owner))
        return SeatAnswer(True, ahead)
    [pace_ms] = raw.execute(_PACE, (request.name,)).fetchone() or [FIRST_PACE_MS]
    delay_ms = look_again_ms(request.limit, ahead, pace_ms)
    raw.execute(_WAIT, (request.name, owner, since, now + delay_ms))
    return SeatAnswer(False, ahead, delay_ms)


def keep(raw: sqlite3.Connection, seat: SeatRequest, now: int) -> bool:
    """Extend the lease of *seat*; return whether it is still held."""
    sweep(raw, now)
    is_held = _holds(raw, seat) or _taken(raw, seat.name) < seat.limit
    if is_held:
        raw.execute(_TAKE, (seat.name, seat.token, now + seat.lease_ms))
    return is_held


def leave(raw: sqlite3.Connection, seat: SeatRequest, held_ms: int | None, now: int) -> None:
    """Free *seat*, which was held for *held_ms* milliseconds; None if that is known already."""
    place = (seat.name, seat.token)
    was_held = raw.execute("DELETE FROM actors_seats WHERE name = ? AND token = ?", place).rowcount > 0
    if was_held and held_ms is not None:
        raw.execute(SWEEP_PACES, (now - PACE_MS,))
        [pace_ms] = raw.execute(_PACE, (seat.name,)).fetchone() or [None]
        raw.execute(_KEEP_PACE, (seat.name, pace_after(pace_ms, held_ms), now))


def sweep(raw: sqlite3.Connection, now: int) -> None:
    """Free the seats whose leases have ended, and forget who has not looked again."""
    raw.execute("DELETE FROM actors_seats WHERE until <= ?", (now,))
    raw.execute("DELETE FROM actors_line WHERE due <= ?", (now - GRACE_MS,))


def _holds(raw: sqlite3.Connection, seat: SeatRequest) -> bool:
    place = (seat.name, seat.token)
    return raw.execute("SELECT 1 FROM actors_seats WHERE name = ? AND token = ?", place).fetchone() is not None


def _taken(raw: sqlite3.Connection, name: str) -> int:
    [taken] = raw.execute("SELECT count(*) FROM actors_seats WHERE name = ?", (name,)).fetchone()
    return int(taken)
