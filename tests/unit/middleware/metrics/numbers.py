"""Numbers as a test wants them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from middleware.metrics import Metric, Sample
from middleware.metrics.sink import SUM


class Numbers:
    """A sink that a test looks into."""

    def __init__(self) -> None:
        self.amounts: dict[Sample, float] = {}

    def add(self, amounts: Mapping[Sample, float]) -> None:
        for sample, amount in amounts.items():
            self.amounts[sample] = self.amounts.get(sample, 0) + amount

    def of(self, metric: Metric) -> dict[tuple[str, ...], float]:
        """A counter's numbers by its labels; a histogram's how many were observed."""
        found: dict[tuple[str, ...], float] = {}
        for sample, amount in self.amounts.items():
            if sample.metric is metric and sample.bucket != SUM:
                found[sample.labels] = found.get(sample.labels, 0) + amount
        return found


def told(families: Iterable[Any]) -> dict[str, float]:
    """What a page says: each number by its name with its labels."""
    return {
        f"{each.name}{''.join(f' {name}={value}' for name, value in sorted(each.labels.items()))}": each.value
        for family in families
        for each in family.samples
    }
