"""A fixed interval, counted from a fixed moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from periodic.triggers.trigger import Firing, Trigger

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Interval(Trigger):
    """Fires every *length*, through every change of a clock.

    Attributes:
        anchor: a moment at which it fires, in UTC. Never the start of a process, which no two of them share.
    """

    length: timedelta
    anchor: datetime = EPOCH

    @property
    def text(self) -> str:
        """As Python would write it."""
        anchored = "" if self.anchor == EPOCH else f", from {self.anchor.isoformat()}"
        return f"every({self.length}{anchored})"

    def firings(self, after: datetime) -> Iterator[Firing]:
        """Yield all times later than *after*."""
        time = self.anchor + ((after - self.anchor) // self.length) * self.length
        while time <= LATEST - self.length:
            time += self.length
            yield Firing(time)
