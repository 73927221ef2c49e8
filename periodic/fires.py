"""What became of ticks since the process started, in numbers."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

# Upper ends of the buckets of lateness, in seconds; the last is infinity.
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0, float("inf"))


@dataclass(slots=True)
class Fires:
    """What became of ticks.

    Attributes:
        enqueued: how many are out.
        missed: records of missed ones, by why: ``coalesce``, ``cap`` or ``pause``.
        failed: how often one could not be enqueued; it is tried again.
        late: of those that are out, how many were late by so much: one number a bucket, without those below it.
        late_s: the sum of that, in seconds.
    """

    enqueued: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    late: list[int] = field(default_factory=lambda: [0] * len(BUCKETS_S))
    late_s: float = 0.0

    def enqueue(self, lateness: timedelta) -> None:
        """Count a tick that was enqueued *lateness* after it was due."""
        late_s = max(0.0, lateness.total_seconds())
        self.enqueued += 1
        self.late[bisect_left(BUCKETS_S, late_s)] += 1
        self.late_s += late_s

    def copy(self) -> Self:
        """Return another with the same numbers."""
        return deepcopy(self)
