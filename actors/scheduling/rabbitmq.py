"""A scheduler whose ledger is in RabbitMQ."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from pika import BasicProperties

from actors.brokers.broker import Broker
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.scheduling.messages import ready_to_send
from periodic.consumers import Destination
from periodic.desk import Address
from periodic.queues import Publication
from periodic.schedule import Schedule
from periodic.scheduler import Scheduler
from periodic.takeover import Replica
from periodic.tick import Tick

# A leader that has been silent for two or three of these is given up.
HEARTBEAT_S = 2


def rabbitmq_scheduler(
    broker: Broker[RabbitmqEngine], replica: Replica, clock: Callable[[], datetime], renew_every_s: float
) -> Scheduler:
    """Return a scheduler that connects when it is run."""
    options = broker.engine.options
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


def destination(broker: Broker[RabbitmqEngine], schedule: Schedule) -> Destination:
    """Return where the messages of *schedule* go."""
    name = schedule.queue or broker.get_actor(schedule.actor).queue_name
    return Destination(name, broker.engine.options.topology.work(name))


def publication(broker: Broker[RabbitmqEngine], schedule: Schedule, tick: Tick) -> Publication:
    """Return the message of *tick* as it is published.

    Raises:
        Exception: whatever a middleware or the encoding raises; nothing is published.
    """
    message = ready_to_send(broker, schedule, tick)
    properties = BasicProperties(
        content_type="application/json",
        delivery_mode=2,
        message_id=message.message_id,
        priority=message.options.get("broker_priority"),
    )
    return Publication(broker.engine.options.topology.work(message.queue_name), broker.encoded(message), properties)
