"""A place among the ticks of all schedules, which are published in one order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, Self

from periodic.tick import Tick

# Sorts behind every name.
_LAST = "\U0010ffff"
_MICROSECOND = timedelta(microseconds=1)


class Ticking(Protocol):
    """What has ticks: a schedule."""

    def ticks_after(self, moment: datetime) -> Iterator[Tick]:
        """Yield the ticks that are due after *moment*, in the order in which they are due."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a tick stands: when it is due, then whose it is, then its nominal time; times are UTC.

    The last decides between two ticks of one schedule whose jitter has made them due at once.
    """

    due: datetime
    schedule: str
    time: datetime

    @classmethod
    def of(cls, tick: Tick) -> Self:
        """Where *tick* stands."""
        return cls(tick.due, tick.schedule, tick.time)

    @classmethod
    def behind_all(cls, moment: datetime) -> Self:
        """Behind every tick that is due at *moment* or earlier."""
        return cls(moment, _LAST, moment)

    @classmethod
    def from_json(cls, value: list[str]) -> Self:
        """Return what :meth:`to_json` was called on.

        Raises:
            TypeError, ValueError: it is nothing of the kind.
        """
        due, schedule, time = value
        return cls(datetime.fromisoformat(due), schedule, datetime.fromisoformat(time))

    def to_json(self) -> list[str]:
        """Return it as JSON has it."""
        return [self.due.isoformat(), self.schedule, self.time.isoformat()]


def ticks_behind(schedule: Ticking, position: Position) -> Iterator[Tick]:
    """Yield the ticks of *schedule* that stand behind *position*, in order; ties in ``due`` are not overlooked."""
    for tick in schedule.ticks_after(position.due - _MICROSECOND):
        if Position.of(tick) > position:
            yield tick
