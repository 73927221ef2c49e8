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

# A leader comes to each tick a moment after it is due. By this much no tick is late; with catch_up=0 and cap=0, for a
# schedule of which none may run late, all would be.
ON_TIME = timedelta(seconds=1)

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


def is_late(schedule: Schedule, tick: Tick, now: datetime) -> bool:
    """Return whether *tick*, which is not out at *now*, is late by more than the ``catch_up`` of its schedule."""
    return tick.due < _horizon(schedule, now)


def catch_up(schedule: Schedule, first: Tick, now: datetime) -> CatchUp:
    """Return what becomes of the late ticks of *schedule*, from *first* on.

    With ``coalesce`` the latest is kept, else the latest ``cap``.
    """
    kept = 1 if schedule.coalesce else schedule.cap
    horizon = _horizon(schedule, now)
    limit = max(MOST_RECORDS, kept + 1)
    row = [first, *islice(_late(schedule, Position.of(first), horizon), limit)]
    complete = len(row) <= limit
    if not complete:
        row = _newest(schedule, Position.of(first), horizon, kept + 1)
    cut = max(0, len(row) - kept)
    lost, rest = row[:cut], row[cut:]
    if complete:
        missed = [Missed(schedule.name, tick.time, _reason(schedule, "it was", now - tick.due)) for tick in lost]
    else:
        reason = _reason(schedule, "they were up to", now - first.due)
        missed = [Missed(schedule.name, first.time, reason, until=lost[-1].time)]
    return CatchUp(rest, missed, Position.of(row[-1]))


def _horizon(schedule: Schedule, now: datetime) -> datetime:
    return now - max(schedule.catch_up, ON_TIME)


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


def _reason(schedule: Schedule, what: str, late: timedelta) -> str:
    if schedule.coalesce:
        rule = "and coalesce enqueues the latest of such ticks"
    elif schedule.cap:
        rule = f"and cap={schedule.cap} enqueues no more of such ticks"
    else:
        rule = "and cap=0 enqueues none of such ticks"
    return f"{what} {_seconds(late)} late, with catch_up={_seconds(schedule.catch_up)} {rule}"


def _seconds(duration: timedelta) -> str:
    seconds = duration.total_seconds()
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.3g} s"
