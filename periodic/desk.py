"""Where a replica is asked, and answers."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pika import BasicProperties, BlockingConnection
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPChannelError, ChannelClosedByBroker, ChannelWrongStateError

from periodic.inquiry import STATUS, Inquiry
from periodic.queues import Queue
from periodic.report import as_json
from periodic.status import Status

log = logging.getLogger(__name__)

ACCESS_REFUSED = 403
# How soon it listens again after its queue has gone away under it, in seconds.
AGAIN_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where all replicas are asked at once.

    Attributes:
        exchange: hands each inquiry to all of them.
        connected: a queue that all consume and nobody publishes to; so whoever asks knows how many are to answer.
        inbox: returns a name for a queue of one replica, another each time.
        expiring: returns a queue of one replica whose messages expire at once, and go on into the one with this name.
    """

    exchange: str
    connected: str
    inbox: Callable[[], str]
    expiring: Callable[[str], Queue]


class Office(Protocol):
    """What a leader answers beside its status."""

    @property
    def is_over(self) -> bool:
        """Whether a change has ended the term."""

    def answer(self, inquiry: Inquiry) -> Mapping[str, Any]:
        """Return what is answered to *inquiry*."""


class Desk:
    """Hears what operators ask all replicas, on a channel of its own, and answers between two ticks.

    Where the user of the URL has no right to that, the replica does its part all the same, and answers nothing.

    Args:
        connection: the replica's.
        address: None for a replica that can't be asked.
        status: what it tells of itself.
        clock: what time it is.

    Raises:
        AMQPError: from every method, when the connection has ended.
    """

    def __init__(
        self, connection: BlockingConnection, address: Address | None, status: Status, clock: Callable[[], datetime]
    ) -> None:
        self._connection = connection
        self._address = address
        self._status = status
        self._clock = clock
        self._heard: deque[tuple[BasicProperties, bytes]] = deque()
        self._channel: BlockingChannel | None = None
        self._listened_at = float("-inf")
        self._listen()

    def answer(self, office: Office | None = None) -> None:
        """Answer what was heard, until the term of *office*, if this replica leads, is over."""
        self._listen()
        while self._heard and not (office is not None and office.is_over):
            properties, body = self._heard.popleft()
            try:
                inquiry = Inquiry.decode(body)
            except ValueError as error:
                log.warning("%s", error)
                continue
            reply: dict[str, Any] = {"status": as_json(self._status, self._clock())}
            if office is not None and inquiry.action != STATUS:
                reply |= office.answer(inquiry)
            self._reply(properties, json.dumps(reply).encode())

    def _listen(self) -> None:
        """Listen, if it does not, or no more."""
        if self._address is None or (self._channel is not None and self._channel.is_open):
            return
        if time.monotonic() - self._listened_at < AGAIN_AFTER_S:
            return
        self._listened_at = time.monotonic()
        inbox = self._address.inbox()
        try:
            self._channel = channel = self._connection.channel()
            # The inbox goes with this connection, the others with the last: nothing is left behind.
            channel.exchange_declare(self._address.exchange, "fanout", auto_delete=True)
            channel.queue_declare(inbox, exclusive=True, auto_delete=True)
            channel.queue_bind(inbox, self._address.exchange)
            channel.add_on_cancel_callback(lambda _: self._cancelled())
            channel.basic_consume(inbox, self._hear, auto_ack=True)
            channel.queue_declare(self._address.connected, durable=True, auto_delete=True)
            channel.basic_consume(self._address.connected, self._hear, auto_ack=True)
        except ChannelClosedByBroker as closed:
            self._channel = None
            # Anything else passes: what the last replica takes with it is there again with the next attempt.
            if closed.reply_code == ACCESS_REFUSED:
                log.warning("%s can't be asked by operators: %s", self._status.replica, closed.reply_text)
                self._address = None

    def _hear(self, _: BlockingChannel, __: object, properties: BasicProperties, body: bytes) -> None:
        self._heard.append((properties, body))

    def _cancelled(self) -> None:
        self._channel = None

    def _reply(self, properties: BasicProperties, body: bytes) -> None:
        if self._channel is None or not properties.reply_to:
            return
        about = BasicProperties(correlation_id=properties.correlation_id)
        try:
            self._channel.basic_publish("", properties.reply_to, body, about)
        except (AMQPChannelError, ChannelWrongStateError) as error:
            # Whoever has asked asks again.
            log.warning("%s could not answer: %r", self._status.replica, error)
            self._channel = None
