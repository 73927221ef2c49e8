"""Asks all who listen to an exchange at once, and hears their replies."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from pika import BasicProperties
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker
from pika.spec import Basic

from actors.brokers.admin import ACCESS_REFUSED, NOT_FOUND, Admin
from actors.errors import AccessRefused

# RabbitMQ hands what is published to it to whoever asked, and keeps nothing of it.
_REPLY_TO = "amq.rabbitmq.reply-to"


class Broadcast:
    """One who asks.

    Args:
        admin: its connection.
        exchange: hands each question to all who listen.
        hear: called with the body of each reply, and whether it is one to the newest question; an older may be late.

    Attributes:
        nobody_listens: whether there was no exchange when it asked.
    """

    def __init__(self, admin: Admin, exchange: str, hear: Callable[[bytes, bool], None]) -> None:
        self.nobody_listens = False
        self._admin = admin
        self._exchange = exchange
        self._hear = hear
        self._channel: Channel | None = None
        self._refused = ""
        self._asked = ""

    def ask(self, question: bytes, is_enough: Callable[[], bool], *, patience_s: float) -> None:
        """Ask, and hear replies until *is_enough*, or for *patience_s* seconds, or until RabbitMQ ends the channel.

        Raises:
            AccessRefused: the user has no right to ask.
        """
        self._asked = uuid.uuid4().hex
        channel = self._opened()
        properties = BasicProperties(correlation_id=self._asked, reply_to=_REPLY_TO)
        channel.basic_publish(self._exchange, "", question, properties)
        deadline = time.monotonic() + patience_s
        self._admin.pump_until(lambda: is_enough() or not channel.is_open or time.monotonic() > deadline)
        if self._refused:
            raise AccessRefused(f"{self._admin.where}: {self._refused}")

    def _opened(self) -> Channel:
        if self._channel is None or not self._channel.is_open:
            self._channel = self._admin.open_channel()
            self._channel.add_on_close_callback(self._closed)
            self._channel.basic_consume(_REPLY_TO, self._replied, auto_ack=True)
        return self._channel

    def _replied(self, _: Channel, __: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        self._hear(body, properties.correlation_id == self._asked)

    def _closed(self, _: Channel, error: BaseException) -> None:
        if isinstance(error, ChannelClosedByBroker) and error.reply_code == ACCESS_REFUSED:
            self._refused = error.reply_text
        elif isinstance(error, ChannelClosedByBroker) and error.reply_code == NOT_FOUND:
            self.nobody_listens = True
