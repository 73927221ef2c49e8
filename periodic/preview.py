"""What a schedule will do between two moments, and where changes of clocks touch it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from periodic.options import aware
from periodic.schedule import Schedule
from periodic.tick import Tick

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Line:
    """A time that a schedule names.

    Attributes:
        local: that time on the clocks of its zone, with their offset to UTC.
        tick: what is enqueued for it; None where the change of a clock leaves the time out.
        note: what the change of a clock did to it, or an empty string.
    """

    local: datetime
    tick: Tick | None
    note: str


def preview(schedule: Schedule, begin: datetime, end: datetime) -> Iterator[Line]:
    """Yield the times of *schedule* from *begin* up to but without *end*, in their order.

    Raises:
        ScheduleError: *begin* or *end* has no time zone.
        TriggerError: a trigger of somebody else's gave an answer that can't be one.
    """
    who = f"periodic {schedule.name!r}"
    begin, end = aware(begin, who, "begin"), aware(end, who, "end")
    if schedule.start is not None:
        begin = max(begin, schedule.start)
    if schedule.end is not None:
        end = min(end, schedule.end)
    return _lines(schedule, begin, end)


def _lines(schedule: Schedule, begin: datetime, end: datetime) -> Iterator[Line]:
    before = begin - _MICROSECOND
    ticks = (tick for tick in schedule.ticks_after(before) if tick.time >= begin)
    for firing in schedule.trigger.firings(before):
        if firing.time >= end:
            return
        local = firing.time.astimezone(schedule.trigger.zone)
        yield Line(local, next(ticks) if firing.fires else None, firing.note)
