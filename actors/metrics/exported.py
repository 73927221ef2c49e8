"""The numbers of an exporter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from actors.metrics.looks import Depth, Seen


def families(depths: Sequence[Depth] | None, seen: Seen | None, *, took_s: float) -> Iterator[Any]:
    """Yield metrics, as prometheus_client has them.

    Args:
        depths: of the queues; None where the last look at them has failed.
        seen: what else there is; None where that has failed.
        took_s: for how long was looked, in seconds.
    """
    from prometheus_client.core import GaugeMetricFamily

    up = depths is not None and seen is not None
    yield GaugeMetricFamily(
        "actors_exporter_up", "1 if RabbitMQ, or the file, has answered; else 0, and nothing else is told.", float(up)
    )
    yield GaugeMetricFamily(
        "actors_exporter_look_seconds", "For how long the exporter has looked.", took_s, unit="seconds"
    )
    if depths is None or seen is None:
        return
    yield from _queues(depths)
    yield _times(
        "actors_dead_letter_oldest_timestamp_seconds",
        "When the oldest dead letter of a queue died.",
        "queue",
        seen.oldest,
    )
    yield from _schedules(seen)


def _queues(depths: Sequence[Depth]) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    messages = GaugeMetricFamily("actors_queue_messages", "Messages of a queue, by state.", labels=("queue", "state"))
    consumers = GaugeMetricFamily("actors_queue_consumers", "Consumers of a queue.", labels=("queue",))
    for depth in depths:
        for state, number in depth.messages.items():
            messages.add_metric((depth.queue, state), number)
        consumers.add_metric((depth.queue,), depth.consumers)
    yield messages
    yield consumers


def _schedules(seen: Seen) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    overview = seen.overview
    yield _times(
        "actors_schedule_last_success_timestamp_seconds",
        "When a run of a schedule last succeeded; absent where there is no record of one.",
        "schedule",
        overview.succeeded,
    )
    yield _times(
        "actors_schedule_next_timestamp_seconds",
        "When the next tick of a schedule is due; absent for one that is paused.",
        "schedule",
        overview.next,
    )
    yield GaugeMetricFamily(
        "actors_schedules_left_out", "Schedules that have no numbers here, since there are too many.", overview.left_out
    )
    schedulers = GaugeMetricFamily("actors_schedulers", "Schedulers that are connected, by role.", labels=("role",))
    for role in ("leading", "standing by", "refusing", "connecting"):
        schedulers.add_metric((role.replace(" ", "_"),), overview.roles.get(role, 0))
    schedulers.add_metric(("silent",), overview.silent)
    yield schedulers


def _times(name: str, text: str, label: str, times: Mapping[str, datetime | None]) -> Any:
    """Return a gauge of *times* by *label*, without those that are None."""
    from prometheus_client.core import GaugeMetricFamily

    gauge = GaugeMetricFamily(name, text, labels=(label,), unit="seconds")
    for value, time in times.items():
        if time is not None:
            gauge.add_metric((value,), time.timestamp())
    return gauge
