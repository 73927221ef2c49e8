"""The composition root of schedulers: settings, the broker and its actors become one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, cast

from actors.assembly import broker, metrics, on_rabbitmq, settings
from actors.brokers.broker import Broker
from actors.brokers.sqlite import SqliteEngine
from actors.health.pages import Pages, verdict
from actors.health.service_manager import ServiceManager
from actors.metrics.page import counted, metrics_page
from actors.scheduling.messages import accepted, replica_of, tick_message
from actors.scheduling.rabbitmq import rabbitmq_scheduler
from actors.scheduling.sqlite import sqlite_scheduler
from periodic.health import Check, live, ready
from periodic.metrics import families
from periodic.scheduler import RENEW_EVERY_S
from periodic.serving import Serving, utc_now
from periodic.status import Status

__all__ = ["accepted", "announce", "make_scheduler", "probes", "tick_message"]


def make_scheduler(*, clock: Callable[[], datetime] = utc_now, renew_every_s: float = RENEW_EVERY_S) -> Serving:
    """Return a scheduler of all that the loaded modules declare; it connects when it is run.

    Args:
        clock: what time it is.
        renew_every_s: on RabbitMQ, how often the leader takes a fresh baton, in seconds.

    Raises:
        ScheduleError: two schedules have one name.
        NotEncodable, MessageTooLarge: the message of a schedule can't be sent.
        SettingsError: a setting is malformed.
    """
    replica = replica_of(broker, clock(), settings().generation)
    if isinstance(broker.engine, SqliteEngine):
        return sqlite_scheduler(cast("Broker[SqliteEngine]", broker), replica, clock)
    return rabbitmq_scheduler(on_rabbitmq(), replica, clock, renew_every_s)


def probes(scheduler: Serving) -> Pages:
    """Return what *scheduler* answers to probes."""
    status = scheduler.status
    return {
        "/live": lambda: verdict(live(status, time.monotonic())),
        "/ready": lambda: verdict(ready(status, time.monotonic())),
        "/metrics": metrics_page(lambda: _families(scheduler)),
    }


def announce(status: Status) -> ServiceManager | None:
    """Let the service manager know from now on how a scheduler with *status* is; return it, if there is one."""

    def look() -> tuple[list[Check], list[Check]]:
        now_s = time.monotonic()
        return live(status, now_s), ready(status, now_s)

    manager = ServiceManager.of_environment()
    if manager is not None:
        manager.tell_for_ever(look)
    return manager


def _families(scheduler: Serving) -> Iterator[Any]:
    yield from families(scheduler.status, schedules=len(scheduler.schedules), now_s=time.monotonic())
    yield from counted(metrics.sink)
