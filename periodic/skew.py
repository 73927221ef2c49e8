"""How far this machine's clock is from RabbitMQ's."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pika import BasicProperties, BlockingConnection
from pika.adapters.blocking_connection import BlockingChannel

from periodic.desk import Address
from periodic.status import Status

# How often it is asked, in seconds.
ASK_EVERY_S = 10.0
# An answer that took longer has waited somewhere, and says nothing.
SLOWEST_ANSWER = timedelta(seconds=5)
# RabbitMQ tells the time in whole seconds, without their fractions.
_HALF_A_SECOND = timedelta(milliseconds=500)


def skew(sent: datetime, theirs: datetime, received: datetime) -> timedelta | None:
    """Return how far our clock is ahead, to half a second; None if the answer says nothing.

    Args:
        sent: when RabbitMQ was asked, by our clock.
        theirs: what time it was there, in whole seconds.
        received: when the answer came, by our clock.
    """
    took = received - sent
    if not timedelta() <= took <= SLOWEST_ANSWER:
        return None
    return sent + took / 2 - (theirs + _HALF_A_SECOND)


class BrokersClock:
    """Asks RabbitMQ what time it is, and notes the skew in *status*.

    AMQP has no such question. But a message that expires is passed on with the time at which it did, by the clock of
    the node: one that lives for no time at all comes back at once.

    Args:
        connection: the replica's.
        address: names the queues of its own.
        status: what is noted there is about the same clock.
        clock: what time it is here.

    Raises:
        AMQPError: from every method, when the connection or the channel has ended.
    """

    def __init__(
        self,
        connection: BlockingConnection,
        address: Address,
        status: Status,
        clock: Callable[[], datetime],
    ) -> None:
        self._connection = connection
        self._answer = address.inbox()
        self._question = address.expiring(self._answer)
        self._status = status
        self._clock = clock
        self._channel: BlockingChannel | None = None
        self._asked_at = float("-inf")
        self._waits = False

    def ask(self) -> None:
        """Ask, if it is time to; the answer comes while the connection is served."""
        if time.monotonic() - self._asked_at < ASK_EVERY_S:
            return
        self._asked_at = time.monotonic()
        if self._waits:
            # Somebody has deleted one of its queues, perhaps.
            self._status.skew = None
            self._close()
        channel = self._opened()
        self._waits = True
        channel.basic_publish("", self._question.name, self._clock().isoformat().encode())

    def _opened(self) -> BlockingChannel:
        if self._channel is None:
            self._channel = channel = self._connection.channel()
            # They go with this connection: nothing is left behind.
            channel.queue_declare(self._answer, exclusive=True, auto_delete=True)
            question = self._question
            channel.queue_declare(question.name, exclusive=True, arguments=dict(question.arguments))
            channel.basic_consume(self._answer, self._hear, auto_ack=True)
        return self._channel

    def _close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None and channel.is_open:
            channel.close()

    def _hear(self, _: BlockingChannel, __: object, properties: BasicProperties, body: bytes) -> None:
        received, self._waits = self._clock(), False
        try:
            died_at: datetime = (properties.headers or {})["x-death"][0]["time"]
            sent = datetime.fromisoformat(body.decode())
        except (KeyError, IndexError, TypeError, ValueError):
            return  # somebody else's
        # Of pika before 1.4 it has no zone.
        self._status.skew = skew(sent, died_at.replace(tzinfo=UTC), received)
