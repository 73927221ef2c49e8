"""The numbers that a scheduler tells of itself, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from periodic.fires import BUCKETS_S
from periodic.status import Role, Status


def families(status: Status, *, schedules: int, now_s: float) -> Iterator[Any]:
    """Yield the metrics of a replica, as prometheus_client has them.

    Args:
        status: of the replica.
        schedules: how many its code declares.
        now_s: seconds as ``time.monotonic`` counts them.
    """
    yield _ticks(status)
    yield _lateness(status)
    yield _roles(status)
    yield from _gauges(status, schedules)
    yield _unconsumed(status, now_s)


def _ticks(status: Status) -> Any:
    from prometheus_client.core import CounterMetricFamily

    ticks = CounterMetricFamily(
        "actors_scheduler_ticks", "Ticks, by what became of them.", labels=("outcome", "reason")
    )
    ticks.add_metric(("enqueued", ""), status.fires.enqueued)
    ticks.add_metric(("failed", ""), status.fires.failed)
    for reason in ("coalesce", "cap", "pause"):
        ticks.add_metric(("missed", reason), status.fires.missed[reason])
    return ticks


def _lateness(status: Status) -> Any:
    from prometheus_client.core import HistogramMetricFamily
    from prometheus_client.utils import floatToGoString

    lateness = HistogramMetricFamily(
        "actors_scheduler_lateness_seconds", "How late ticks were enqueued, after they were due.", unit="seconds"
    )
    counts = zip(map(floatToGoString, BUCKETS_S), accumulate(status.fires.late), strict=True)
    lateness.add_metric((), [(end, float(count)) for end, count in counts], status.fires.late_s)
    return lateness


def _roles(status: Status) -> Any:
    from prometheus_client.core import CounterMetricFamily

    roles = CounterMetricFamily(
        "actors_scheduler_role_changes", "How often a replica began to have a role.", labels=("role",)
    )
    for role in Role:
        roles.add_metric((role.value.replace(" ", "_"),), status.began[role])
    return roles


def _gauges(status: Status, schedules: int) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    leads = status.role is Role.LEADING
    yield GaugeMetricFamily("actors_scheduler_is_leader", "1 for the replica that leads, else 0.", value=float(leads))
    looped = GaugeMetricFamily(
        "actors_scheduler_last_loop_timestamp_seconds", "When its loop last came round.", unit="seconds"
    )
    if status.looped_at is not None:
        looped.add_metric((), status.looped_at.timestamp())
    yield looped
    yield GaugeMetricFamily("actors_scheduler_schedules", "Schedules that its code declares.", value=float(schedules))
    yield GaugeMetricFamily(
        "actors_scheduler_failing_schedules",
        "Schedules whose newest tick can't be enqueued; of the one that leads.",
        value=float(len(status.failing)) if leads else 0.0,
    )
    skew = GaugeMetricFamily(
        "actors_scheduler_clock_skew_seconds",
        "How far its clock is ahead of RabbitMQ's; absent where that is not known.",
        unit="seconds",
    )
    if status.skew is not None:
        skew.add_metric((), status.skew.total_seconds())
    yield skew


def _unconsumed(status: Status, now_s: float) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    unconsumed = GaugeMetricFamily(
        "actors_scheduler_unconsumed_seconds",
        "For how long a queue of schedules has had no consumer; absent for one that has.",
        labels=("queue",),
        unit="seconds",
    )
    for each in status.unconsumed.values():
        unconsumed.add_metric((each.queue,), max(0.0, now_s - each.since_s))
    return unconsumed
