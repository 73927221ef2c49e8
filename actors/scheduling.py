"""The composition root of schedulers: settings, the broker and its actors become one."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import dramatiq
from pika import BasicProperties

from actors.assembly import on_rabbitmq, settings
from actors.brokers.broker import Broker
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.decorator import Actor
from actors.errors import ActorsError
from actors.health.pages import Pages, verdict
from actors.schedules import as_sent
from periodic.consumers import Destination
from periodic.desk import Address
from periodic.errors import ScheduleError
from periodic.health import live, ready
from periodic.pace import pace_of
from periodic.queues import Publication
from periodic.registry import schedules
from periodic.schedule import Schedule
from periodic.scheduler import RENEW_EVERY_S, Scheduler, utc_now
from periodic.status import Status
from periodic.suggestion import did_you_mean
from periodic.takeover import Replica
from periodic.tick import Tick

# A leader that has been silent for two or three of these is given up.
HEARTBEAT_S = 2


def make_scheduler(*, clock: Callable[[], datetime] = utc_now, renew_every_s: float = RENEW_EVERY_S) -> Scheduler:
    """Return a scheduler of all that the loaded modules declare; it connects when it is run.

    Args:
        clock: what time it is.
        renew_every_s: how often the leader takes a fresh baton, in seconds.

    Raises:
        ScheduleError: two schedules have one name.
        NotEncodable, MessageTooLarge: the message of a schedule can't be sent.
        SettingsError: a setting is malformed.
    """
    broker = on_rabbitmq()
    options, found, now = broker.engine.options, schedules(broker), clock()
    for schedule in found.values():
        broker.encoded(tick_message(broker, schedule, Tick(schedule.name, now, now)))
    replica = Replica(
        f"{socket.gethostname()}:{os.getpid()}",
        now,
        found,
        settings().generation,
        accept=lambda schedule: accepted(broker, schedule),
    )
    topology = options.topology
    return Scheduler(
        replica,
        replace(options.nodes, heartbeat_s=HEARTBEAT_S).parameters("scheduler"),
        topology.periodic(),
        lambda schedule, tick: publication(broker, schedule, tick),
        address=Address(
            topology.schedulers,
            topology.connected_schedulers.name,
            lambda: topology.scheduler(uuid.uuid4().hex).name,
            topology.expiring,
        ),
        destination=lambda schedule: destination(broker, schedule),
        clock=clock,
        renew_every_s=renew_every_s,
    )


def probes(status: Status) -> Pages:
    """Return what a scheduler with *status* answers to probes."""
    return {
        "/live": lambda: verdict(live(status, time.monotonic())),
        "/ready": lambda: verdict(ready(status, time.monotonic())),
    }


def destination(broker: Broker[RabbitmqEngine], schedule: Schedule) -> Destination:
    """Return where the messages of *schedule* go."""
    name = schedule.queue or broker.get_actor(schedule.actor).queue_name
    return Destination(name, broker.engine.options.topology.work(name))


def accepted(broker: Broker[Any], schedule: Schedule) -> Schedule:
    """Return *schedule*, made at run time, with its arguments as they are sent.

    Raises:
        ScheduleError: no actor that is loaded here can run it.
    """
    actor = broker.actors.get(schedule.actor)
    who = f"periodic {schedule.name!r}"
    if not isinstance(actor, Actor):
        known = did_you_mean(schedule.actor, broker.actors)
        raise ScheduleError(f"{who}: the code of the schedulers has no actor {schedule.actor!r}{known}")
    try:
        schedule = as_sent(schedule, actor.parameters)
        actor.restore(schedule.args, dict(schedule.kwargs))
        now = utc_now()
        broker.encoded(tick_message(broker, schedule, Tick(schedule.name, now, now)))
    except ActorsError as unfit:
        text = str(unfit)
        raise ScheduleError(text if text.startswith(who) else f"{who}: {text}") from None
    return schedule


def publication(broker: Broker[RabbitmqEngine], schedule: Schedule, tick: Tick) -> Publication:
    """Return the message of *tick* as it is published.

    Raises:
        Exception: whatever a middleware or the encoding raises; nothing is published.
    """
    message = tick_message(broker, schedule, tick)
    broker.emit_before("enqueue", message, None)
    properties = BasicProperties(
        content_type="application/json",
        delivery_mode=2,
        message_id=message.message_id,
        priority=message.options.get("broker_priority"),
    )
    return Publication(broker.engine.options.topology.work(message.queue_name), broker.encoded(message), properties)


def tick_message(broker: Broker[Any], schedule: Schedule, tick: Tick) -> dramatiq.Message[Any]:
    """Return the message of *tick*; copies of it, whoever makes them, are one for idempotency."""
    actor = broker.get_actor(schedule.actor)
    message = actor.message_with_options(args=schedule.args, kwargs=dict(schedule.kwargs))
    pace = pace_of(schedule.trigger, tick.time)
    about = {"schedule": schedule.name, "time": tick.time.isoformat(), "pace": pace}
    if schedule.overlap != "allow":
        about["overlap"] = schedule.overlap
    options = {**message.options, "tick": about}
    if "idempotency_key" in actor.options:
        # What an actor makes of its arguments is the same for all ticks of a schedule: only the first would run. Where
        # it makes no key, the message id is the key.
        options["idempotency_key"] = tick.id
    if schedule.priority is not None:
        options["broker_priority"] = schedule.priority
    return message.copy(message_id=tick.id, queue_name=schedule.queue or message.queue_name, options=options)
