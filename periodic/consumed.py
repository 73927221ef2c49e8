"""Whether a queue in RabbitMQ has a consumer."""

from __future__ import annotations

from pika import BlockingConnection
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

NOT_FOUND = 404


class Consumed:
    """Says of queues whether anybody takes from them, on a channel of its own.

    Args:
        connection: whose channel it is.

    Raises:
        AMQPError: when the connection has ended.
    """

    def __init__(self, connection: BlockingConnection) -> None:
        self._connection = connection
        self._channel: BlockingChannel | None = None

    def __call__(self, queue: str) -> bool:
        """Return whether *queue* has a consumer, as far as this may be asked; one that does not exist has none."""
        if self._channel is None or not self._channel.is_open:
            self._channel = self._connection.channel()
        try:
            return bool(self._channel.queue_declare(queue, passive=True).method.consumer_count)
        except ChannelClosedByBroker as closed:
            return bool(closed.reply_code != NOT_FOUND)
