"""The queues that a scheduler works with. Their names and arguments are given to it: it knows none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pika import BasicProperties


class Queue(Protocol):
    """A durable queue of RabbitMQ."""

    @property
    def name(self) -> str:
        """What RabbitMQ calls it."""

    @property
    def arguments(self) -> Mapping[str, object]:
        """What it is declared with."""


@dataclass(frozen=True, slots=True)
class Queues:
    """The queues of all replicas of one scheduler.

    Attributes:
        baton: has a single active consumer, who leads; holds one message at most.
        watermark: which ticks are out; holds one message at most.
        roster: which schedules there are; holds one message at most.
        alive: a classic queue for one message that does not survive a restart of RabbitMQ.
        missed: the newest records of ticks that were not enqueued.
    """

    baton: Queue
    watermark: Queue
    roster: Queue
    alive: Queue
    missed: Queue


@dataclass(frozen=True, slots=True)
class Publication:
    """The message of a tick, ready to be published."""

    queue: Queue
    body: bytes
    properties: BasicProperties
