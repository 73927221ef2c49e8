"""Moments that are named one by one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from periodic.triggers.trigger import Firing, Trigger


@dataclass(frozen=True, slots=True)
class Moments(Trigger):
    """Fires at each of *times*, which are in UTC, ascending, and different."""

    times: tuple[datetime, ...]

    @property
    def text(self) -> str:
        """As the declaration spells it."""
        return f"at({', '.join(time.isoformat() for time in self.times)})"

    def firings(self, after: datetime) -> Iterator[Firing]:
        """Yield those later than *after*."""
        return map(Firing, self.times[bisect_right(self.times, after) :])
