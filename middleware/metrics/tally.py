"""Adds up what many attempts come to."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from middleware.metrics.catalogue import Metric
from middleware.metrics.sink import SUM, Sample


class Tally:
    """Amounts to add, each to a number.

    Attributes:
        amounts: by number.
    """

    def __init__(self) -> None:
        self.amounts: dict[Sample, float] = {}

    def count(self, metric: Metric, labels: tuple[str, ...], amount: int) -> None:
        """Add *amount* to a counter."""
        sample = Sample(metric, labels)
        self.amounts[sample] = self.amounts.get(sample, 0) + amount

    def observe(self, metric: Metric, labels: tuple[str, ...], values: Sequence[float], *, scale: float = 1.0) -> None:
        """Add *values*, each divided by *scale*, to a histogram."""
        ordered = sorted(values)
        below = 0
        for bucket, end in enumerate(metric.buckets):
            upto = bisect_right(ordered, end * scale, below)
            if upto > below:
                sample = Sample(metric, labels, bucket)
                self.amounts[sample] = self.amounts.get(sample, 0) + upto - below
                below = upto
                if below == len(ordered):
                    break
        total = Sample(metric, labels, SUM)
        self.amounts[total] = self.amounts.get(total, 0) + sum(ordered) / scale
