"""Where numbers are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from middleware.metrics.catalogue import Metric

# In the place of a bucket: the sum of what was observed.
SUM = -1


class Sample(NamedTuple):
    """One number of a metric.

    Attributes:
        metric: whose it is.
        labels: the values of its labels.
        bucket: of a histogram, which of its buckets, not those below it; or :data:`SUM`.
    """

    metric: Metric
    labels: tuple[str, ...]
    bucket: int = 0


class Sink(Protocol):
    """Keeps numbers that go up."""

    def add(self, amounts: Mapping[Sample, float]) -> None:
        """Add *amounts*; they are kept when this returns. Safe from any thread."""
