"""Relays in this process, what they keep, and what is in the hold queues."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import dramatiq
from pika import BasicProperties

from actors.brokers.delays import Relay
from actors.brokers.hold import Hold
from actors.brokers.rabbitmq import RabbitmqBroker
from actors.brokers.topology import Topology
from actors.delayed import Page

HOUR_MS = 3_600_000
# The hold of what is due in an hour.
HOUR_HOLD_MS = 100 * 2**15


@contextmanager
def running_relay(broker: RabbitmqBroker) -> Iterator[Relay]:
    """A relay that runs beside the block."""
    relay = Relay(broker.engine.options.nodes, broker.engine.declarations, broker.engine.publisher)
    relay.start()
    try:
        yield relay
    finally:
        relay.stop()


def listens(relay: Relay) -> bool:
    """Whether a relay consumes the hold queues, and hears inquiries."""
    channel = relay._session.channel
    return channel is not None and bool(channel.consumer_tags)


def kept(relay: Relay) -> list[str | None]:
    """The ids of what a relay has in memory, and does not move just now."""
    return [held.properties.message_id for held in list(relay._kept._held)]


def ready(broker: RabbitmqBroker) -> int:
    """How many messages wait in the work queue."""
    return broker.get_queue_message_counts("default")[0]


def send(broker: RabbitmqBroker, name: str, delay_ms: int, **options: Any) -> None:
    """Send a delayed message whose id is *name*."""
    message: dramatiq.Message[None] = dramatiq.Message("default", "job", (name,), {}, options, message_id=name)
    broker.enqueue(message, delay=delay_ms)


def names(page: Page) -> list[str]:
    """The ids of the messages on a page, in order."""
    return [message.message_id for message in page.messages]


def hold(broker: RabbitmqBroker, channel: Any, *due: int) -> None:
    """Put messages that are due at *due* into the hold queue of an hour, as if they had been there for a while."""
    channel.confirm_delivery()
    queue = broker.engine.declarations.hold(HOUR_HOLD_MS).name
    for number, each in enumerate(due):
        message: dramatiq.Message[None] = dramatiq.Message("default", "job", (number,), {}, {})
        properties = BasicProperties(message_id=message.message_id, delivery_mode=2)
        publication = Hold(HOUR_HOLD_MS, each, each, "default").publication(message.encode(), properties, queue)
        channel.basic_publish("", queue, publication.body, publication.properties)


def contents(connection: Any, topology: Topology) -> dict[str, list[tuple[bytes, dict[str, Any]]]]:
    """All that is in the hold queues, in order: bodies and properties, except RabbitMQ's own ``x-`` headers."""
    channel = connection.channel()
    found: dict[str, list[tuple[bytes, dict[str, Any]]]] = {}
    for queue in topology.holds().values():
        ready = channel.queue_declare(queue.name, passive=True).method.message_count
        taken = found[queue.name] = []
        for _, properties, body in islice(channel.consume(queue.name), ready):
            fields = {name: value for name, value in vars(properties).items() if value is not None}
            headers = {name: value for name, value in fields.get("headers", {}).items() if not name.startswith("x-")}
            taken.append((body, fields | {"headers": headers}))
        channel.cancel()
    channel.close()
    return found
