"""A look at the first messages of a queue, that leaves them where they are."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from dramatiq.errors import ConnectionFailed
from pika import BasicProperties
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker
from pika.frame import Method
from pika.spec import Basic

from actors.brokers.admin import ACCESS_REFUSED, NOT_FOUND, Admin
from actors.brokers.hold import Held
from actors.brokers.topology import Queue
from actors.errors import AccessRefused

# The highest prefetch that AMQP has a number for.
DEEPEST = 65_535
# What nobody else wants is looked at: a relay that has room for a message gets it first.
_LAST = -1


class Peek:
    """Takes the messages that are ready in a queue, and gives them back when it ends, in their order.

    It ends by closing its channel: so they go back together, and would, too, if this process were killed. A quorum
    queue loses their order when they are given back by their tags.

    Args:
        admin: its connection.
        queue: the queue; nothing is seen of one that does not exist.
        limit: how many messages are taken at most, up to ``DEEPEST``.
        see: called with each; it may be acked then, or until the end.

    Attributes:
        taken: how many messages it has taken.
        left: how many more are ready.

    Raises:
        ConnectionFailed: RabbitMQ did not answer in time.
        AccessRefused: the user has no right to read the queue.
    """

    def __init__(self, admin: Admin, queue: Queue, limit: int, see: Callable[[Held], None]) -> None:
        self._admin = admin
        self._queue = queue
        self._limit = limit
        self._see = see
        self._closed: list[BaseException] = []
        self.taken = self.left = 0

    def __enter__(self) -> Self:
        self._channel = channel = self._admin.open_channel()
        channel.add_on_close_callback(lambda _, error: self._closed.append(error))
        channel.basic_qos(prefetch_count=self._limit)
        channel.basic_consume(self._queue.name, self._take, arguments={"x-priority": _LAST})
        # What RabbitMQ sends is on its way when it says that nothing is ready any more, and here when it says so again.
        times_empty = 0
        while times_empty < 2:
            self.left = self.settle()
            times_empty = times_empty + 1 if self.left == 0 else 0
            if self.taken == self._limit:
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._channel.is_open:
            self._channel.close()
            self._admin.pump_until(lambda: bool(self._closed))

    def settle(self) -> int:
        """Return how many messages are ready, once RabbitMQ has taken all acks that were sent before."""
        answers: list[Method[Any]] = []
        if self._channel.is_open:
            self._channel.queue_declare(self._queue.name, passive=True, callback=answers.append)
        self._admin.pump_until(lambda: bool(answers or self._closed))
        if answers:
            return int(answers[0].method.message_count)
        error = self._closed[0]
        if isinstance(error, ChannelClosedByBroker) and error.reply_code == NOT_FOUND:
            return 0
        if isinstance(error, ChannelClosedByBroker) and error.reply_code == ACCESS_REFUSED:
            raise AccessRefused(f"{self._admin.where}: {error.reply_text}")
        raise ConnectionFailed(f"{self._admin.where}: {error}")

    def _take(self, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        self.taken += 1
        self._see(Held(channel, method.delivery_tag, self._queue.name, properties, body))
