"""One tick: a schedule, and a time for which it enqueues one message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid5

# What ids of ticks are derived from; another value would make every tick a new one.
NAMESPACE = UUID("6d0c1f7e-5f0a-5c1e-9d3b-2f6a8c4e7b90")


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick of a schedule; ticks of all schedules are ordered by when they are published, then by name.

    Attributes:
        schedule: the name of its schedule.
        time: its nominal time in UTC: what the schedule says. It never moves.
        due: when it is published, in UTC: its time, and its share of the schedule's jitter.
    """

    schedule: str
    time: datetime
    due: datetime

    @property
    def id(self) -> str:
        """The same for the same tick on every replica: the id and the idempotency key of its message."""
        return str(uuid5(NAMESPACE, f"{self.schedule}\n{self.time.astimezone(UTC).isoformat()}"))

    @property
    def order(self) -> tuple[datetime, str]:
        """Its place among the ticks of all schedules: one watermark of this kind says exactly which are out."""
        return self.due, self.schedule

    def __lt__(self, other: Tick) -> bool:
        return self.order < other.order
