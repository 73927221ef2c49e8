"""Makes queues exist, on a channel beside the one that must not end."""

from __future__ import annotations

import logging
import time
from dataclasses import fields

from pika import BlockingConnection
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from periodic.errors import PeriodicError
from periodic.queues import Queue, Queues

log = logging.getLogger(__name__)

PRECONDITION_FAILED = 406
# How long a queue is trusted to be there, in seconds.
SURE_FOR_S = 1.0


class NotDeclared(PeriodicError):
    """RabbitMQ does not let a queue exist, or be used."""


class Declaring:
    """Declares queues. RabbitMQ answers a wrong declaration by ending its channel, so they have one of their own.

    Args:
        connection: whose channel it is.

    Raises:
        AMQPError: from every method, when the connection has ended.
    """

    def __init__(self, connection: BlockingConnection) -> None:
        self._connection = connection
        self._channel: BlockingChannel | None = None
        self._declared_at: dict[str, float] = {}
        self._warned_of: set[str] = set()

    def declare(self, queue: Queue) -> int:
        """Make *queue* if it does not exist, and return how many messages it has ready.

        Raises:
            NotDeclared: it can't be made, or exists with other arguments. Without a single active consumer, for
                example, a baton would not be one.
        """
        try:
            return self._declare(queue)
        except ChannelClosedByBroker as closed:
            raise NotDeclared(f"queue {queue.name!r}: {closed.reply_text}") from None

    def declare_all(self, queues: Queues) -> None:
        """Make all *queues* that do not exist.

        Raises:
            NotDeclared: as for :meth:`declare`.
        """
        for each in fields(queues):
            self.declare(getattr(queues, each.name))

    def ensure(self, queue: Queue) -> None:
        """Make *queue* if it does not exist; one that was there a second ago is taken to be there still.

        A frame that goes to two queues is not returned while one of them exists, so that a message for one that has
        been deleted is lost without a word.

        Raises:
            NotDeclared: it can't be made.
        """
        now = time.monotonic()
        if now - self._declared_at.get(queue.name, float("-inf")) < SURE_FOR_S:
            return
        try:
            self._declare(queue)
        except ChannelClosedByBroker as closed:
            if closed.reply_code != PRECONDITION_FAILED:
                raise NotDeclared(f"queue {queue.name!r}: {closed.reply_text}") from None
            if queue.name not in self._warned_of:
                self._warned_of.add(queue.name)
                log.error("queue %r is used as it is: %s", queue.name, closed.reply_text)
        self._declared_at[queue.name] = now

    def forget(self) -> None:
        """Trust in nothing that was there."""
        self._declared_at.clear()

    def _declare(self, queue: Queue) -> int:
        if self._channel is None or not self._channel.is_open:
            self._channel = self._connection.channel()
        declared = self._channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))
        return int(declared.method.message_count)
