"""Numbers in the default registry of prometheus_client, for applications that show it themselves."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from middleware.metrics.catalogue import Metric
from middleware.metrics.sink import SUM, Sample

# A registry takes each once.
_families: dict[Metric, Any] = {}


class Registry:
    """Adds to metrics of prometheus_client, as an application's own code would.

    Numbers wait until somebody has imported the library: nobody can show them before, and it takes a tenth of a second.
    Where an application has chosen the library's mode for many processes, they are part of it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[Sample, float] = {}
        self._adders: dict[Sample, Callable[[float], None]] = {}
        os.register_at_fork(after_in_child=self._renew)

    def add(self, amounts: Mapping[Sample, float]) -> None:
        """Add *amounts*."""
        if "prometheus_client" not in sys.modules:
            with self._lock:
                for sample, amount in amounts.items():
                    self._waiting[sample] = self._waiting.get(sample, 0) + amount
            return
        if self._waiting:
            with self._lock:
                waited, self._waiting = self._waiting, {}
            self._add(waited)
        self._add(amounts)

    def _add(self, amounts: Mapping[Sample, float]) -> None:
        for sample, amount in amounts.items():
            adder = self._adders.get(sample)
            if adder is None:
                adder = self._adders[sample] = self._adder(sample)
            adder(amount)

    def _adder(self, sample: Sample) -> Callable[[float], None]:
        with self._lock:
            family = _families.get(sample.metric)
            if family is None:
                family = _families[sample.metric] = _family(sample.metric)
        child = family.labels(*sample.labels)
        if sample.metric.kind == "counter":
            return child.inc  # type: ignore[no-any-return]
        # Its observe() takes one at a time.
        value = child._sum if sample.bucket == SUM else child._buckets[sample.bucket]
        return value.inc  # type: ignore[no-any-return]

    def _renew(self) -> None:
        self._lock = threading.Lock()


def _family(metric: Metric) -> Any:
    from prometheus_client import Counter, Histogram

    if metric.kind == "counter":
        return Counter(metric.name, metric.help, metric.labels)
    return Histogram(metric.name, metric.help, metric.labels, buckets=metric.buckets)
