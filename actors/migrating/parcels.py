"""Rows of a file as they are published to RabbitMQ: where each goes, with which bytes and properties."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pika import BasicProperties

from actors.brokers.buried import LONGEST_ID, bury, rebury
from actors.brokers.hold import Hold
from actors.brokers.publisher import Publication
from actors.brokers.rabbitmq import RabbitmqEngine
from middleware import Letter
from middleware.letter import now_ms, read_letter
from periodic.pace import Pace

PERSISTENT = 2
# AMQP has no higher one.
HIGHEST_PRIORITY = 255


@dataclass(frozen=True, slots=True)
class Parcel:
    """A row, and how it is published."""

    id: int
    publication: Publication


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of one kind.

    Attributes:
        kind: what they are.
        table: where they are.
        select: the statement that returns rows in their order, the id first; it ends with a LIMIT to be given.
        pack: returns how a row is published, once its queue exists; raises a ``BrokerError`` if it can't exist.
    """

    kind: str
    table: str
    select: str
    pack: Callable[[Sequence[Any]], Publication]


def sources(engine: RabbitmqEngine) -> list[Source]:
    """Return all that is published to the RabbitMQ of *engine*, in the order in which it is.

    A queue's messages come in the order in which a worker of the file would take them. What a job may read of ticks
    comes first, then what runs late, and last what may run at once.
    """
    packing = _Packing(engine)
    message = "SELECT id, queue, message_id, priority, available, body FROM actors_message WHERE"
    return [
        Source(
            "missed",
            "actors_periodic_missed",
            "SELECT id, record FROM actors_periodic_missed ORDER BY id LIMIT ?",
            packing.missed,
        ),
        Source(
            "runs", "actors_tick_run", "SELECT id, pace, record FROM actors_tick_run ORDER BY id LIMIT ?", packing.run
        ),
        Source(
            "dead",
            "actors_dead_letter",
            "SELECT id, queue, message_id, expires, header, body FROM actors_dead_letter ORDER BY id LIMIT ?",
            packing.dead,
        ),
        Source(
            "delayed",
            "actors_message",
            f"{message} available > 0 ORDER BY queue, available LIMIT ?",
            packing.message,
        ),
        Source(
            "queued",
            "actors_message",
            f"{message} available = 0 AND holder IS NULL ORDER BY queue, priority DESC, id LIMIT ?",
            packing.message,
        ),
    ]


class _Packing:
    """Makes the queues exist that rows go to.

    Args:
        engine: declares them.
    """

    def __init__(self, engine: RabbitmqEngine) -> None:
        self._declarations = engine.declarations
        self._missed = engine.declarations.topology.periodic().missed.name

    def message(self, row: Sequence[Any]) -> Publication:
        _, queue, message_id, priority, available, body = row
        properties = _properties(message_id)
        properties.content_type = "application/json"
        # 0 is also what the file has for none; and it takes numbers that AMQP has no form for.
        properties.priority = min(max(priority, 0), HIGHEST_PRIORITY) or None
        now = now_ms()
        if available <= now:
            return Publication(self._declarations.work(queue).name, body, properties)
        hold = Hold.until(available, queue, now=now)
        return hold.publication(body, properties, self._declarations.hold(hold.hold_ms).name)

    def dead(self, row: Sequence[Any]) -> Publication:
        _, queue, message_id, expires, header, body = row
        letter = Letter.from_header(json.loads(header)) or read_letter(body, queue=queue, message_id=message_id)
        physical, now = self._declarations.dead(queue), now_ms()
        if expires is None:
            return bury(physical, body, letter, retention_ms=None)
        return rebury(physical, body, letter, retention_ms=max(1, expires - now), now=now)

    def run(self, row: Sequence[Any]) -> Publication:
        _, pace, record = row
        return Publication(self._declarations.runs(Pace(pace)).name, record, _properties())

    def missed(self, row: Sequence[Any]) -> Publication:
        # The queue is there since the schedules' state is.
        return Publication(self._missed, row[1].encode(), _properties())


def _properties(message_id: str = "") -> BasicProperties:
    fits = len(message_id.encode("utf-8", "surrogatepass")) <= LONGEST_ID
    # The message's own id is in its body. This one is for people who look at RabbitMQ.
    return BasicProperties(delivery_mode=PERSISTENT, message_id=message_id if fits and message_id else None)
