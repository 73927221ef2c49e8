"""Which schedules there are; schedulers of every system import this, also in environments with nothing of ours."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

VARIABLE = "PERIODIC_PLAN"
QUEUE = "BENCH_QUEUE"

# Ticks a second; the second is more than any system can enqueue.
RATE, FLOOD = 500.0, 10_000.0

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """Schedules with the same interval, each a bit later than the one before, so that ticks come evenly.

    Attributes:
        schedules: how many there are.
        rate: how many ticks a second they have in all.
    """

    schedules: int
    rate: float

    @property
    def every(self) -> timedelta:
        """The interval of each."""
        return timedelta(seconds=self.schedules / self.rate)

    def first(self, number: int) -> datetime:
        """When the schedule *number* ticks for the first time, long ago."""
        return START + self.every * (number / self.schedules)

    def last(self, number: int) -> datetime:
        """When it was last due."""
        now, first = datetime.now(UTC), self.first(number)
        return first + (now - first) // self.every * self.every

    def late_ms(self, number: int, at: float) -> float:
        """How many milliseconds before *at*, in seconds since the Unix epoch, it was last due."""
        return (at - self.first(number).timestamp()) % self.every.total_seconds() * 1000

    def env(self, queue: str) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self)), QUEUE: queue}

    @classmethod
    def read(cls) -> "Plan":
        return cls(**json.loads(os.environ[VARIABLE]))
