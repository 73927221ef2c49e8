"""The baton: who holds it leads."""

from __future__ import annotations

from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel

from periodic.queues import Queue

_PROPERTIES = BasicProperties(delivery_mode=2)


class Baton:
    """This replica's hold on the baton, on the channel with which it publishes.

    RabbitMQ hands the baton to one consumer, and to the next when the channel of that one has ended: then the one that
    held it can publish no more. That is the fence. To hand it on, end the channel; a consumer that is merely cancelled
    could go on publishing.

    Args:
        channel: with confirms; its end is the end of the hold.
        queue: exists, with a single active consumer and room for one message.

    Attributes:
        is_lost: whether RabbitMQ has ended the consumer, because the queue is gone for example.
    """

    def __init__(self, channel: BlockingChannel, queue: Queue) -> None:
        self.is_lost = False
        self._queue = queue
        self._channel = channel
        self._held: int | None = None
        channel.add_on_cancel_callback(self._cancelled)
        channel.basic_consume(queue.name, self._received)
        # There may be none: this is the first replica, or the queue was purged.
        self.renew()

    @property
    def is_held(self) -> bool:
        """Whether this replica leads."""
        return self._held is not None and not self.is_lost

    def renew(self) -> None:
        """Put in a fresh baton; who holds one takes it in place of the old.

        The leader does this long before RabbitMQ's consumer timeout, since that ends the channel of whoever keeps a
        message for too long.
        """
        self._channel.basic_publish("", self._queue.name, b"", _PROPERTIES, mandatory=True)

    def _received(self, _: BlockingChannel, method: object, __: BasicProperties, ___: bytes) -> None:
        old, self._held = self._held, method.delivery_tag  # type: ignore[attr-defined]
        if old is not None:
            # Not the fresh one: it would be at the head of the queue again, should this replica end here.
            self._channel.basic_ack(old)

    def _cancelled(self, _: object) -> None:
        self.is_lost = True
