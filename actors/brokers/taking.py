"""Takes messages from the head of a queue, and gives back, in their order, those that nobody has acked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from dramatiq.errors import ConnectionFailed
from pika import BasicProperties
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker
from pika.frame import Method
from pika.spec import Basic

from actors.brokers.admin import ACCESS_REFUSED, NOT_FOUND, Admin
from actors.errors import AccessRefused
from periodic.queues import Queue

# The highest prefetch that AMQP has a number for.
DEEPEST = 65_535
# What nobody else wants is looked at: a relay that has room for a message gets it first.
_LAST = -1

Take = Callable[[Channel, int, BasicProperties, bytes], None]


class Taking:
    """Takes messages from the head of a queue, one after the other, and gives back at its end what was not acked.

    It ends by closing its channel: so what is left goes back together, in its order, and would, too, if this process
    were killed. A quorum queue loses the order of what is given back by tags.

    More than ``DEEPEST`` messages are taken by several consumers of that channel, one after the other. Each has
    messages that were before those of the next one: one that is acked makes room for another, which would come to be
    before them when all is given back; so a consumer is cancelled before the next one begins.

    Args:
        admin: its connection.
        queue: the queue; nothing is taken from one that does not exist.
        most: how many are taken at most; None for no limit.
        take: called with the channel, the tag, the properties and the body of each.

    Attributes:
        taken: how many messages it has taken.
        left: how many more were ready when RabbitMQ was last asked.
        acked: how many messages were acked.
        has_met_returned: whether the newest message was in somebody's hand before.

    Raises:
        ConnectionFailed: RabbitMQ did not answer in time.
        AccessRefused: the user has no right to read the queue.
    """

    def __init__(self, admin: Admin, queue: Queue, most: int | None, take: Take) -> None:
        self.taken = self.left = 0
        self.admin = admin
        self._queue = queue
        self._most = most
        self._on_message = take
        self._closed: list[BaseException] = []
        # Of the present consumer: how many it may have, how many it has, and the last tag before its first.
        self._credit = self._held = self._before = 0
        self._newest = self.acked = 0
        self.has_met_returned = self._is_over = False
        self._consumers = 0

    def __enter__(self) -> Self:
        self._channel = channel = self.admin.open_channel()
        channel.add_on_close_callback(lambda _, error: self._closed.append(error))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over = True
        if self._channel.is_open:
            self.admin.restart_clock()
            self._channel.close()
            self.admin.pump_until(lambda: bool(self._closed))

    @property
    def is_full(self) -> bool:
        """Whether no more can come, because all that may be unacked is."""
        return self._held >= self._credit

    @property
    def unacked(self) -> int:
        """How many messages are in hand."""
        return self._newest - self.acked

    @property
    def has_all(self) -> bool:
        """Whether as many were taken as are wanted."""
        return self._most is not None and self.taken >= self._most

    def ack(self, tag: int) -> None:
        """Take the message with *tag* from the queue for good; that of a closed channel is delivered again."""
        if self._channel.is_open:
            self._channel.basic_ack(tag)
            self.acked += 1
            self._held -= tag > self._before

    def more(self, credit: int = 0) -> None:
        """Let *credit* further messages come, or twice as many as last time; only before the first, or when it is full.

        They are ``DEEPEST`` at most.
        """
        self.admin.restart_clock()
        if self._consumers and self._channel.is_open:
            cancelled: list[object] = []
            self._channel.basic_cancel(_name(self._consumers), callback=cancelled.append)
            self.admin.pump_until(lambda: bool(cancelled or self._closed))
        self._held, self._before = 0, self._newest
        self._consume(min(credit or 2 * self._credit, DEEPEST))

    def hold_rest(self, count: int) -> None:
        """Take *count* more messages, nobody looks at which; what it had in hand goes back before them.

        They need not even be read.
        """
        self._is_over = True
        for _ in range(0, count, DEEPEST):
            self._consume(DEEPEST)

    def sweep(self, first: int) -> Iterator[None]:
        """Take all there is, or as many as are wanted: at first *first*, then more and more at a time.

        Yields:
            Once for each answer of RabbitMQ, which has then taken all acks that were sent before the last one.
        """
        self.more(first)
        # What RabbitMQ sends is on its way when it says that nothing is ready any more, and here when it says so again.
        times_empty = 0
        while times_empty < 2 and not self.has_all:
            self.left = self.settle()
            yield
            times_empty = times_empty + 1 if self.left == 0 else 0
            if self.is_full and self.left and not self.has_all:
                self.more()

    def settle(self) -> int:
        """Return how many messages are ready, once RabbitMQ has taken all acks that were sent before."""
        self.admin.restart_clock()
        answers: list[Method[Any]] = []
        if self._channel.is_open:
            self._channel.queue_declare(self._queue.name, passive=True, callback=answers.append)
        self.admin.pump_until(lambda: bool(answers or self._closed))
        if answers:
            return int(answers[0].method.message_count)
        self.check()
        return 0

    def check(self) -> None:
        """Raise what has ended its channel; a queue that is gone has ended nothing."""
        if not self._closed:
            return
        error = self._closed[0]
        if isinstance(error, ChannelClosedByBroker) and error.reply_code == NOT_FOUND:
            return
        if isinstance(error, ChannelClosedByBroker) and error.reply_code == ACCESS_REFUSED:
            raise AccessRefused(f"{self.admin.where}: {error.reply_text}")
        raise ConnectionFailed(f"{self.admin.where}: {error}")

    def _consume(self, credit: int) -> None:
        self._consumers += 1
        self._credit = credit
        if self._channel.is_open:
            self._channel.basic_qos(prefetch_count=credit)
            self._channel.basic_consume(
                self._queue.name, self._take, arguments={"x-priority": _LAST}, consumer_tag=_name(self._consumers)
            )

    def _take(self, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        self._newest = method.delivery_tag
        self._held += 1
        if not self.has_all and not self._is_over:
            self.has_met_returned = bool((properties.headers or {}).get("x-delivery-count"))
            self.taken += 1
            self._on_message(channel, method.delivery_tag, properties, body)


def _name(number: int) -> str:
    # In the order of their names RabbitMQ gives back what consumers had.
    return f"taking-{number:04}"
