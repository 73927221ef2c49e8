"""Asks all relays of an environment what they keep."""

from __future__ import annotations

import time
import uuid

from pika import BasicProperties
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker
from pika.spec import Basic

from actors.brokers.admin import ACCESS_REFUSED, NOT_FOUND, Admin
from actors.brokers.inquiry import Answer, Inquiry
from actors.brokers.topology import Topology
from actors.errors import AccessRefused

# RabbitMQ hands what is published to it to whoever asked, and keeps nothing of it.
_REPLY_TO = "amq.rabbitmq.reply-to"


class Asking:
    """Puts inquiries to all relays at once.

    Args:
        admin: its connection.
        topology: names the exchange.
        patience_s: how long the relays may take for one answer, in seconds.

    Attributes:
        silent: how many relays there are that do not answer: they are of an earlier version, or frozen.
    """

    def __init__(self, admin: Admin, topology: Topology, *, patience_s: float) -> None:
        self.silent = 0
        self._admin = admin
        self._topology = topology
        self._patience_s = patience_s
        self._channel: Channel | None = None
        self._refused = ""
        self._nobody_listens = False
        self._asked = ""
        self._answered = 0
        self._answers: list[Answer] = []

    def ask(self, inquiry: Inquiry, relays: int) -> list[Answer]:
        """Return the answers of as many *relays* to *inquiry*; fewer if some do not answer in time.

        Raises:
            AccessRefused: the user has no right to ask.
        """
        expected = max(0, relays - self.silent)
        if not expected and (self._nobody_listens or not inquiry.took_ms):
            return []
        channel = self._opened()
        self._asked, self._answered = uuid.uuid4().hex, 0
        properties = BasicProperties(correlation_id=self._asked, reply_to=_REPLY_TO)
        channel.basic_publish(self._topology.relays, "", inquiry.encode(), properties)
        deadline = time.monotonic() + self._patience_s
        self._admin.pump_until(lambda: self._answered >= expected or not channel.is_open or time.monotonic() > deadline)
        if self._refused:
            raise AccessRefused(f"{self._admin.where}: {self._refused}")
        self.silent += max(0, expected - self._answered)
        answers, self._answers = self._answers, []
        return answers

    def _opened(self) -> Channel:
        if self._channel is None or not self._channel.is_open:
            self._channel = self._admin.open_channel()
            self._channel.add_on_close_callback(self._closed)
            self._channel.basic_consume(_REPLY_TO, self._hear, auto_ack=True)
        return self._channel

    def _hear(self, _: Channel, __: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        try:
            self._answers.append(Answer.decode(body))  # a late one, too: what it says has happened
        except ValueError:
            return  # of a version that this one does not understand; it counts as silent
        self._answered += properties.correlation_id == self._asked

    def _closed(self, _: Channel, error: BaseException) -> None:
        if isinstance(error, ChannelClosedByBroker) and error.reply_code == ACCESS_REFUSED:
            self._refused = error.reply_text
        elif isinstance(error, ChannelClosedByBroker) and error.reply_code == NOT_FOUND:
            self._nobody_listens = True
