"""Reads the one message of a queue, and leaves it there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel

from periodic.queues import Queue

# How long who has died with the message in hand may seem to have it, in seconds.
PATIENCE_S = 10.0
_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that stays in its queue.

    Attributes:
        routing_key: the queue that it was published to, if it came to this one by the way.
        properties: with its headers.
        body: its bytes.
    """

    routing_key: str
    properties: BasicProperties
    body: bytes


def read(channel: BlockingChannel, queue: Queue) -> Kept | None:
    """Return the newest message of *queue*, or None if there is none that nobody else has in hand."""
    newest: Kept | None = None
    tags: list[int] = []
    # Between a publication and the drop of what it replaces there may be two. RabbitMQ says whether there is another:
    # to ask for it is a write to a quorum queue, for which a failover waits.
    has_more = True
    while has_more and (got := channel.basic_get(queue.name))[0] is not None:
        method, properties, body = got
        newest = Kept(method.routing_key, properties, body)
        tags.append(method.delivery_tag)
        has_more = method.message_count > 0
    for tag in tags:
        # One by one: the baton is in hand on the same channel.
        channel.basic_nack(tag)
    return newest


def read_both(
    channel: BlockingChannel, first: Queue, second: Queue, *, pause: Callable[[float], None]
) -> tuple[Kept | None, Kept | None]:
    """Return the newest messages of two queues; of which one has none for long only if there is none.

    Who held the baton last may have died with one of the messages in hand, and RabbitMQ can hand on the baton before it
    puts that one back. It is never both: they are read one after the other.
    """
    deadline = time.monotonic() + PATIENCE_S
    found = read(channel, first), read(channel, second)
    while (found[0] is None) != (found[1] is None) and time.monotonic() < deadline:
        pause(_PAUSE_S)
        found = found[0] or read(channel, first), found[1] or read(channel, second)
    return found
