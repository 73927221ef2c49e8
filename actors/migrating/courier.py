"""Publishes to RabbitMQ in one order, so that one number says how far it has come."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from dramatiq.errors import ConnectionFailed
from pika.exceptions import ChannelClosedByBroker
from pika.frame import Method
from pika.spec import Basic

from actors.brokers.admin import ACCESS_REFUSED, Admin
from actors.brokers.publisher import Publication
from actors.brokers.topology import Queue, Topology
from actors.errors import AccessRefused
from actors.migrating.errors import MigrationRefused
from actors.operating.tick_records import look
from periodic.ledger import ALSO_TO

HEADER = "moved"
# How long RabbitMQ may take to notice that who moved things last has died, in seconds, and how often it is asked.
GIVEN_UP_WITHIN_S = 10.0
ASK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Place:
    """How far publishing has come: the batch, and the index of a publication in it."""

    batch: int
    index: int


class Courier:
    """One channel, which publishes with confirms, and says with each frame how far it has come.

    Each frame goes to its queue and, at the same instant, to a ledger that keeps the newest only. All go one after the
    other; so whoever comes next finds in the ledger what has arrived. It comes once RabbitMQ has done with the channel
    of the one before: that is the only one that consumes a certain queue, and frames that were still on their way are
    there by then, or never will be.

    Args:
        admin: its connection.
        topology: names the queues.
        name: of the migration.

    Raises:
        ConnectionFailed: from every method, when RabbitMQ does not answer in time, or the channel has ended.
    """

    def __init__(self, admin: Admin, topology: Topology, name: str) -> None:
        self._admin = admin
        self._ledger, self._mover = topology.moved(name), topology.mover(name)
        self._closed: list[BaseException] = []
        self._open: dict[int, int] = {}
        self._refused: list[int] = []
        self._tag = 0

    def __enter__(self) -> Self:
        """Wait until nobody else publishes for this migration.

        Raises:
            MigrationRefused: somebody does.
        """
        self._admin.restart_clock()
        for queue in (self._ledger, self._mover):
            self._admin.declare(queue)
        left = round(GIVEN_UP_WITHIN_S / ASK_EVERY_S)
        while not self._take(self._mover):
            left -= 1
            if not left:
                raise MigrationRefused(
                    f"{self._admin.where}: another process moves the same file just now, or did until its connection "
                    "fell silent, which RabbitMQ notices within a minute or two; try again then"
                )
            self._pause(ASK_EVERY_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._channel.is_open:
            self._channel.close()
            self._admin.restart_clock()
            self._admin.pump_until(lambda: bool(self._closed))

    def last(self) -> Place | None:
        """Return how far publishing had come, here or before; None if that is not known, or it had not begun."""
        held = look(self._admin, self._ledger, 2)
        words = str((held[-1].properties.headers or {}).get(HEADER)).split() if held else []
        return Place(int(words[0]), int(words[1])) if len(words) == 2 else None

    def publish(self, batch: int, publications: Sequence[Publication]) -> list[int]:
        """Publish *publications*, whose queues exist; return the indexes of those that RabbitMQ refuses."""
        self._refused = []
        for index, each in enumerate(publications):
            properties = each.properties
            also = {ALSO_TO: [self._ledger.name], HEADER: f"{batch} {index}"}
            properties.headers = {**(properties.headers or {}), **also}
            self._tag += 1
            self._open[self._tag] = index
            if self._channel.is_open:
                self._channel.basic_publish("", each.queue, each.body, properties)
        self._wait(lambda: not self._open)
        return self._refused

    def forget(self) -> None:
        """Delete what is of use to nobody once all is over."""
        for queue in (self._ledger, self._mover):
            self._ask(lambda done, name=queue.name: self._channel.queue_delete(name, callback=done))

    def _take(self, queue: Queue) -> bool:
        """Return whether a channel is open that is the only one to consume *queue*."""
        self._admin.restart_clock()
        self._channel = channel = self._admin.open_channel()
        self._closed = closed = []
        channel.add_on_close_callback(lambda _, error: closed.append(error))
        channel.confirm_delivery(self._confirmed)
        answers: list[object] = []
        channel.basic_consume(queue.name, _nothing, exclusive=True, callback=answers.append)
        self._admin.pump_until(lambda: bool(answers or closed))
        if closed:
            error = closed[0]
            if isinstance(error, ChannelClosedByBroker) and error.reply_code == ACCESS_REFUSED:
                if "exclusive use" in error.reply_text:
                    return False
                raise AccessRefused(f"{self._admin.where}: {error.reply_text}")
            raise ConnectionFailed(f"{self._admin.where}: {error}")
        return True

    def _confirmed(self, frame: Method[Basic.Ack | Basic.Nack]) -> None:
        answer = frame.method
        tags = [tag for tag in self._open if tag <= answer.delivery_tag] if answer.multiple else [answer.delivery_tag]
        for tag in tags:
            index = self._open.pop(tag, None)
            if index is not None and isinstance(answer, Basic.Nack):
                self._refused.append(index)
        self._admin.restart_clock()

    def _ask(self, ask: Any) -> None:
        answers: list[object] = []
        if self._channel.is_open:
            ask(answers.append)
        self._wait(lambda: bool(answers))

    def _wait(self, done: Any) -> None:
        self._admin.restart_clock()
        try:
            self._admin.pump_until(lambda: done() or bool(self._closed))
        except ConnectionFailed:
            if self._admin.blocked:
                why = f"RabbitMQ has blocked publishers: {self._admin.blocked}"
                raise ConnectionFailed(f"{self._admin.where}: {why}") from None
            raise
        if self._closed and not done():
            raise ConnectionFailed(f"{self._admin.where}: {self._closed[0]}")

    def _pause(self, seconds: float) -> None:
        again = time.monotonic() + seconds
        self._admin.restart_clock()
        self._admin.pump_until(lambda: time.monotonic() >= again)


def _nothing(*_: object) -> None:
    """Take a message of a queue that never has any."""
