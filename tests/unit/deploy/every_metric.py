"""Every metric that the code has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from actors.metrics import exported
from actors.metrics.looks import Depth, Seen
from actors.operating import Overview
from middleware.metrics import METRICS
from middleware.metrics.catalogue import ENQUEUED
from periodic import metrics as scheduler
from periodic.status import Status


@dataclass(frozen=True)
class Row:
    """What there is to say of a metric, as the table in docs/metrics.md has it."""

    name: str
    kind: str
    unit: str
    labels: tuple[str, ...]
    where: str
    meaning: str

    @property
    def series(self) -> set[str]:
        """The names that queries may use."""
        if self.kind == "histogram":
            return {f"{self.name}_{suffix}" for suffix in ("bucket", "count", "sum")}
        return {self.name}


def every_metric() -> list[Row]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    seen = Seen({"q": at}, Overview({"s": at}, {"s": at}, 0, {}, 0))
    ours = [
        Row(
            f"{each.name}_total" if each.kind == "counter" else each.name,
            each.kind,
            each.unit,
            each.labels,
            "worker, producer" if each is ENQUEUED else "worker",
            each.help,
        )
        for each in METRICS
    ]
    theirs = scheduler.families(Status("one"), schedules=1, now_s=0.0)
    exporters = exported.families([Depth("q", {"ready": 1}, 1)], seen, took_s=1.0)
    return [*ours, *_rows(theirs, "scheduler"), *_rows(exporters, "exporter")]


def _rows(families: Iterable[Any], where: str) -> list[Row]:
    return [
        Row(
            f"{each.name}_total" if each.type == "counter" else each.name,
            each.type,
            each.unit,
            tuple(each._labelnames),
            where,
            each.documentation,
        )
        for each in families
    ]
