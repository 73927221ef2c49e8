"""A broker under test with its store, and power over what is in its queues."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import dramatiq
import pika

from actors.brokers.dispatch import Dispatch
from actors.brokers.rabbitmq import RabbitmqBroker
from actors.brokers.sqlite import holders, queues
from actors.brokers.sqlite.queues import Queued
from actors.decorator import Actor
from actors.testing import StubBroker
from middleware import Letter
from middleware.letter import now_ms
from middleware.stores import Store
from services.deadline import until
from tests.faults.toll import graves
from tests.integration.embedded.conftest import EmbeddedBroker

Message = dramatiq.Message[Any]

MAX_BYTES = 4_000


@dataclass(frozen=True)
class Dead:
    """A dead letter: what is said of it, and its body."""

    letter: Letter
    body: bytes


class Subject(Protocol):
    """A broker of one process, with the whole of the default middleware and a limit of 4,000 bytes a message."""

    broker: Dispatch
    store: Store

    def enqueue_many(self, messages: Iterable[Message]) -> list[Message]:
        """Send *messages* together."""

    def pass_time(self, ms: int) -> None:
        """Return when *ms* more milliseconds have passed by the clock of its delays."""

    def counts(self, queue: str = "default") -> tuple[int, int]:
        """Return how many messages are ready, and how many are dead."""

    def dead(self, queue: str = "default") -> list[Dead]:
        """Return the dead letters; they stay where they are."""


class SharedSubject(Subject, Protocol):
    """One that other processes use, too."""

    def publish(self, body: bytes, message_id: str, queue: str = "default") -> None:
        """Put *body* into *queue* as any other producer may."""

    def lose(self, count: int, queue: str = "default") -> None:
        """Let another worker take the first *count* messages of *queue*, and be lost; they are there again."""


class InMemory:
    """Its delays follow a clock that stands still unless a test lets it pass."""

    def __init__(self, broker: StubBroker, store: Store) -> None:
        self.broker: Dispatch = broker
        self.store = store
        self._broker = broker

    def enqueue_many(self, messages: Iterable[Message]) -> list[Message]:
        return [self._broker.enqueue(message) for message in messages]

    def pass_time(self, ms: int) -> None:
        self._broker.clock.advance(timedelta(milliseconds=ms))

    def counts(self, queue: str = "default") -> tuple[int, int]:
        now = self._broker.clock.now()
        ready = sum(entry.due <= now for entry in self._broker.waiting([queue]))
        return ready + self._broker.unacked[queue], len(self._broker.dead_letters_by_queue[queue])

    def dead(self, queue: str = "default") -> list[Dead]:
        return [
            Dead(self._broker.dead_letter.letter_of(each, queue), each._message.encode())
            for each in self._broker.dead_letters_by_queue[queue]
        ]


class InSqlite:
    """A file of a test's own."""

    def __init__(self, broker: EmbeddedBroker, store: Store) -> None:
        self.broker: Dispatch = broker
        self.store = store
        self._broker = broker
        self._file = broker.engine.options.file

    def enqueue_many(self, messages: Iterable[Message]) -> list[Message]:
        return self._broker.enqueue_many(messages)

    def pass_time(self, ms: int) -> None:
        time.sleep(ms / 1000)

    def counts(self, queue: str = "default") -> tuple[int, int]:
        ready, _, dead = self._broker.get_queue_message_counts(queue)
        return ready, dead

    def dead(self, queue: str = "default") -> list[Dead]:
        with self._file.read() as connection:
            rows = connection.execute(
                "SELECT header, body FROM actors_dead_letter WHERE queue = ?", (queue,)
            ).fetchall()
        letters = [(Letter.from_header(json.loads(header)), body) for header, body in rows]
        return [Dead(letter, body) for letter, body in letters if letter is not None]

    def publish(self, body: bytes, message_id: str, queue: str = "default") -> None:
        with self._file.write() as connection:
            queues.put(connection, [Queued(queue, message_id, "", body, sent=now_ms())])

    def lose(self, count: int, queue: str = "default") -> None:
        with self._file.write() as connection:
            holder = holders.enter(connection, queue, until=now_ms() - 1, worker="lost:1")
            assert len(queues.claim(connection, queue, holder, limit=count)) == count


class InRabbitmq:
    """Queues of a test's own on the session's RabbitMQ."""

    def __init__(self, broker: RabbitmqBroker, store: Store) -> None:
        self.broker: Dispatch = broker
        self.store = store
        self._broker = broker
        options = broker.engine.options
        self._url, self._topology = options.nodes.urls[0], options.topology

    def enqueue_many(self, messages: Iterable[Message]) -> list[Message]:
        return self._broker.enqueue_many(messages)

    def pass_time(self, ms: int) -> None:
        time.sleep(ms / 1000)

    def counts(self, queue: str = "default") -> tuple[int, int]:
        ready, _, dead = self._broker.get_queue_message_counts(queue)
        return ready, dead

    def dead(self, queue: str = "default") -> list[Dead]:
        self._broker.declare_queue(queue, ensure=True)
        if not self.counts(queue)[1]:
            return []
        return [Dead(grave.letter, grave.body) for grave in graves(self._url, self._topology.dead(queue).name)]

    def publish(self, body: bytes, message_id: str, queue: str = "default") -> None:
        self._broker.declare_queue(queue, ensure=True)
        with pika.BlockingConnection(pika.URLParameters(self._url)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            name = self._topology.work(queue).name
            channel.basic_publish("", name, body, pika.BasicProperties(message_id=message_id), mandatory=True)

    def lose(self, count: int, queue: str = "default") -> None:
        name = self._topology.work(queue).name
        with pika.BlockingConnection(pika.URLParameters(self._url)) as connection:
            channel = connection.channel()
            for _ in range(count):
                assert channel.basic_get(name)[0] is not None
        until(lambda: self.counts(queue)[0] >= count, seconds=10, what="all of it back in its queue")


def declare(subject: Subject, fn: Callable[..., Any], **options: Any) -> Actor[..., Any]:
    """Declare *fn*, which may be nested, as an actor."""
    return Actor(
        fn,
        broker=subject.broker,
        actor_name=options.pop("actor_name", "job"),
        queue_name=options.pop("queue_name", "default"),
        priority=0,
        options=options,
    )


@contextmanager
def working(subject: Subject, *, threads: int = 2) -> Iterator[dramatiq.Worker]:
    """Let a worker work for the block; at its end it has stopped in an orderly way."""
    worker = dramatiq.Worker(subject.broker, worker_threads=threads, worker_timeout=50)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop(timeout=10_000)


def wait(subject: Subject, condition: Callable[[], object], what: str) -> None:
    """Let time pass until *condition* holds."""

    def holds() -> bool:
        subject.pass_time(20)
        return bool(condition())

    until(holds, seconds=20, what=what)
