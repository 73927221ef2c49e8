"""Messages of ticks that an operator enqueues, outside of the order in which schedulers do."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import dramatiq

from actors.assembly import broker
from actors.scheduling import tick_message
from periodic.preview import preview
from periodic.schedule import Schedule
from periodic.tick import Tick

Message = dramatiq.Message[Any]

# How many are published at once.
CHUNK = 200


def run_now(schedule: Schedule, args: tuple[Any, ...] | None, kwargs: Mapping[str, Any] | None) -> Message:
    """Enqueue one run of *schedule*, beside its ticks; return its message once RabbitMQ has confirmed it.

    Args:
        schedule: whose run it is.
        args: in place of the schedule's own; None for those.
        kwargs: the same.

    Raises:
        BrokerError: RabbitMQ has not confirmed it.
    """
    own = replace(
        schedule,
        args=schedule.args if args is None else args,
        kwargs=schedule.kwargs if kwargs is None else kwargs,
    )
    now = datetime.now(UTC)
    message = _by("trigger", tick_message(broker, own, Tick(schedule.name, now, now)))
    message = message.copy(message_id=str(uuid.uuid4()))
    if "idempotency_key" in message.options:
        message.options["idempotency_key"] = message.message_id
    broker.enqueue(message)
    return message


def ticks_between(schedule: Schedule, begin: datetime, end: datetime) -> Iterator[Tick]:
    """Yield the ticks of *schedule* with a time from *begin* up to but without *end*."""
    return (line.tick for line in preview(schedule, begin, end) if line.tick is not None)


def backfill(schedule: Schedule, ticks: Iterable[Tick], progress: Callable[[int], None]) -> int:
    """Enqueue *ticks* of *schedule* under their own ids, and return how many; those that have run do not run again.

    Args:
        schedule: whose ticks they are.
        ticks: some of its ticks.
        progress: called with how many more are confirmed.

    Raises:
        BrokerError: RabbitMQ has not confirmed some; what *progress* was called with is confirmed. It can be repeated.
    """
    count, left = 0, iter(ticks)
    while chunk := [_by("backfill", tick_message(broker, schedule, tick)) for tick in islice(left, CHUNK)]:
        broker.enqueue_many(chunk)
        count += len(chunk)
        progress(len(chunk))
    return count


def _by(what: str, message: Message) -> Message:
    message.options["tick"]["by"] = what
    return message
