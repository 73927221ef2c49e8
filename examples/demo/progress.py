"""How far the shop is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from examples.demo.processes import VICTIM
from examples.shop.books import Count

# Every order passes through all of them.
JOBS = ("take_order", "charge", "reserve_stock", "send_receipt")


@dataclass(frozen=True, slots=True)
class Progress:
    """What the books said, *seconds* after the first order.

    Attributes:
        counts: by actor.
        runs: by worker.
        payments: how many the gateway has taken.
        killed_after: how many jobs had run when a worker was killed, or None if none was yet.
    """

    orders: int
    seconds: float
    counts: Mapping[str, Count]
    runs: Mapping[str, int]
    payments: int
    killed_after: int | None

    @property
    def jobs(self) -> int:
        """The jobs that must have run at the end."""
        return self.orders * len(JOBS)

    @property
    def taken(self) -> int:
        """The orders that the application has sent, and that are kept for certain."""
        return self.counts["take_order"].sent if "take_order" in self.counts else 0

    @property
    def run(self) -> int:
        """The jobs that have run, each counted once."""
        return sum(count.run for count in self.counts.values())

    @property
    def lost(self) -> int:
        """The jobs that were sent and have not run: until the end, most of them merely not yet."""
        return sum(count.lost for count in self.counts.values())

    @property
    def again(self) -> int:
        """How often a job ran that had run before."""
        return sum(count.again for count in self.counts.values())

    @property
    def maybe_ran(self) -> int:
        """How many runs were told that an earlier one may have come as far."""
        return sum(count.maybe_ran for count in self.counts.values())

    @property
    def untold(self) -> int:
        """How often a job ran that had run before, and was not told so."""
        return sum(count.untold for count in self.counts.values())

    @property
    def complete(self) -> bool:
        """Whether a worker was killed, and every order has gone all the way all the same."""
        return self.killed_after is not None and self.run == self.jobs

    @property
    def kept(self) -> bool:
        """Whether all that is promised was kept: no job lost, none repeated without a word, no payment taken twice."""
        return self.complete and not self.lost and not self.untold and self.payments == self.orders

    def as_json(self) -> dict[str, Any]:
        return {
            "orders": self.orders,
            "seconds": round(self.seconds, 1),
            "killed": VICTIM,
            "killed_after": self.killed_after,
            "runs": dict(self.runs),
            "table": [asdict(count) | {"lost": count.lost} for count in self.counts.values()],
            "jobs": self.jobs,
            "run": self.run,
            "lost": self.lost,
            "again": self.again,
            "maybe_ran": self.maybe_ran,
            "untold": self.untold,
            "payments": self.payments,
        }
