"""The messages of ticks, and who sends them."""

from __future__ import annotations

import os
import socket
from datetime import datetime
from typing import Any

import dramatiq

from actors.brokers.broker import Broker
from actors.decorator import Actor
from actors.errors import ActorsError
from actors.schedules import as_sent
from periodic.errors import ScheduleError
from periodic.pace import pace_of
from periodic.registry import schedules
from periodic.schedule import Schedule
from periodic.serving import utc_now
from periodic.suggestion import did_you_mean
from periodic.takeover import Replica
from periodic.tick import Tick


def replica_of(broker: Broker[Any], now: datetime, generation: int) -> Replica:
    """Return who this process is among the schedulers: it has all that the loaded modules declare.

    Raises:
        ScheduleError: two schedules have one name.
        NotEncodable, MessageTooLarge: the message of a schedule can't be sent.
    """
    found = schedules(broker)
    for schedule in found.values():
        broker.encoded(tick_message(broker, schedule, Tick(schedule.name, now, now)))
    name = f"{socket.gethostname()}:{os.getpid()}"
    return Replica(name, now, found, generation, accept=lambda schedule: accepted(broker, schedule))


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


def ready_to_send(broker: Broker[Any], schedule: Schedule, tick: Tick) -> dramatiq.Message[Any]:
    """Return the message of *tick*, once all middleware has had its say.

    Raises:
        Exception: whatever a middleware raises.
    """
    message = tick_message(broker, schedule, tick)
    broker.emit_before("enqueue", message, None)
    return message


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
