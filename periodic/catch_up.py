"""What becomes of ticks that are late: which are enqueued all the same, and which are recorded as missed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile

from periodic.missed import Missed
from periodic.position import Position, ticks_behind
from periodic.schedule import Schedule
from periodic.tick import Tick

# A longer row of missed ticks is one record, and is not counted.
MOST_RECORDS = 100

_FIRST_LOOK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class CatchUp:
    """What becomes of the ticks of a schedule that are late by more than its ``catch_up``.

    Attributes:
        kept: those to enqueue, in order.
        missed: records of the others.
        resume: where the last of them stands.
    """

    kept: Sequence[Tick]
    missed: Sequence[Missed]
    resume: Position


def catch_up(schedule: Schedule, first: Tick, now: datetime) -> CatchUp:
    """Return what becomes of the late ticks of *schedule*, from *first* on.

    With ``coalesce`` the latest is kept, else the latest ``cap``.
    """
    kept = 1 if schedule.coalesce else schedule.cap
    horizon = now - schedule.catch_up
    limit = max(MOST_RECORDS, kept + 1)
    row = [first, *islice(_late(schedule, Position.of(first), horizon), limit)]
    complete = len(row) <= limit
    if not complete:
        row = _newest(schedule, Position.of(first), horizon, kept + 1)
    cut = max(0, len(row) - kept)
    lost, rest = row[:cut], row[cut:]
    reason = _reason(schedule, now - first.due)
    if complete:
        missed = [Missed(schedule.name, tick.time, reason) for tick in lost]
    else:
        missed = [Missed(schedule.name, first.time, reason, until=lost[-1].time)]
    return CatchUp(rest, missed, Position.of(row[-1]))


def _late(schedule: Schedule, position: Position, horizon: datetime) -> Iterator[Tick]:
    return takewhile(lambda tick: tick.due < horizon, ticks_behind(schedule, position))


def _newest(schedule: Schedule, position: Position, horizon: datetime, count: int) -> list[Tick]:
    """Return the newest *count* of the late ticks behind *position*, without a look at years of older ones."""
    look = _FIRST_LOOK
    while True:
        start = max(position, Position.behind_all(max(position.due, horizon - look)))
        newest = deque(_late(schedule, start, horizon), maxlen=count)
        if len(newest) == count:
            return list(newest)
        look *= 2


def _reason(schedule: Schedule, late: timedelta) -> str:
    if schedule.coalesce:
        rule = "and coalesce enqueues the latest of such ticks"
    else:
        rule = f"and cap={schedule.cap} enqueues no more of such ticks"
    return f"it was {late.total_seconds():,.0f} s late, with catch_up={schedule.catch_up.total_seconds():g} s {rule}"
