"""A file that is full of everything, the place that it is moved to, and what is found there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dramatiq
import pika
from pika import BasicProperties

from actors.brokers.outgoing import Outgoing
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.brokers.sqlite import SCHEMA as QUEUES
from actors.brokers.sqlite import SqliteEngine, SqliteOptions, dead_letters
from actors.brokers.sqlite.dead_letters import Burial
from actors.brokers.topology import Queue
from actors.configuration import read
from actors.engines import engine_of, store_of
from actors.migrating import Destination, Migration, Report, file_to_move
from middleware import Letter
from middleware.failure import Failure, Reason
from middleware.letter import now_ms
from middleware.stores.sqlite import SCHEMA as RECORDS
from middleware.stores.sqlite import SqliteFile, SqliteStore
from periodic.pace import Pace
from periodic.sqlite import SCHEMA as SCHEDULES


@dataclass(frozen=True)
class Found:
    """A message as RabbitMQ had it."""

    properties: BasicProperties
    body: bytes

    @property
    def header(self) -> dict[str, Any]:
        return self.properties.headers or {}


class Site:
    """Both places.

    Attributes:
        url: of the file.
        file: as a producer, or a worker, of another process has it open.
        engine: sends to it.
        store: in it.
        to: where everything goes.
    """

    def __init__(self, folder: Path, rabbitmq_url: str, redis_url: str, prefix: str, **settings: Any) -> None:
        self.url = f"sqlite:///{folder / 'actors.db'}"
        self.file = self.opened()
        self.engine = SqliteEngine(SqliteOptions(self.file))
        self.store = SqliteStore(self.file)
        self.settings = read(
            {"broker_url": rabbitmq_url, "store_url": redis_url, "queue_prefix": prefix, **settings},
        )
        engine = engine_of(self.settings, lambda: ())
        assert isinstance(engine, RabbitmqEngine)
        self.to = Destination(engine, store_of(self.settings), redis_url)
        self.topology = engine.options.topology

    def opened(self) -> SqliteFile:
        """The file, as another process has it open."""
        made = file_of(self.url.removeprefix("sqlite:///"))
        with made.read():
            pass
        return made

    def send(
        self, *numbers: int, queue: str = "default", actor: str = "job", due: int | None = None, **options: Any
    ) -> list[dramatiq.Message[Any]]:
        messages: list[dramatiq.Message[Any]] = [
            dramatiq.Message(queue, actor, (number,), {}, options) for number in numbers
        ]
        self.engine.send([Outgoing(each, each.encode(), None, due) for each in messages])
        return messages

    def bury(self, *numbers: int, queue: str = "default", expires: int | None = None) -> list[Letter]:
        failure = Failure("ValueError", "no luck", Reason.EXHAUSTED)
        letters = []
        with self.file.write() as connection:
            for number in numbers:
                message: dramatiq.Message[Any] = dramatiq.Message(queue, "job", (number,), {}, {})
                letter = Letter.of(message, failure, queue=queue, key=f"k{number}", worker="there:1", version="7")
                dead_letters.bury(connection, Burial(letter, message.encode(), expires))
                letters.append(letter)
        return letters

    def migration(self, **options: Any) -> Migration:
        return Migration(file_to_move(self.url), **{"moved": lambda *_: None, **options})

    def move(self, **options: Any) -> Report:
        return self.migration(**options).run(self.to)

    def take(self, queue: Queue) -> list[Found]:
        """All messages of a queue, which are gone from it then."""
        found = []
        with closing(pika.BlockingConnection(pika.URLParameters(self.settings.broker_url[0]))) as connection:
            channel = connection.channel()
            while (got := channel.basic_get(queue.name, auto_ack=True))[0] is not None:
                found.append(Found(got[1], got[2]))
        return found

    def left(self) -> int:
        """How many messages are in the file."""
        with file_to_move(self.url).read() as connection:
            [queued] = connection.execute("SELECT count(*) FROM actors_message").fetchone()
            [dead] = connection.execute("SELECT count(*) FROM actors_dead_letter").fetchone()
        return int(queued + dead)

    def close(self) -> None:
        self.engine.close()
        self.to.engine.close()
        topology = self.topology
        queues: list[Any] = [*topology.holds().values(), *(topology.runs(pace) for pace in Pace)]
        periodic = topology.periodic()
        queues += [periodic.baton, periodic.watermark, periodic.roster, periodic.alive, periodic.missed]
        for name in ("default", "slow", "full"):
            queues += [topology.work(name), topology.dead(name)]
        with closing(pika.BlockingConnection(pika.URLParameters(self.settings.broker_url[0]))) as connection:
            channel = connection.channel()
            for queue in queues:
                channel.queue_delete(queue.name)


def file_of(path: str) -> SqliteFile:
    """The file as a process opens it that starts now."""
    return SqliteFile(path, schema=(*RECORDS, *QUEUES, *SCHEDULES), timeout_s=10)


def arguments(found: Sequence[Found]) -> list[int]:
    """The numbers that messages were sent with."""
    return [json.loads(each.body)["args"][0] for each in found]


def soon(ms: int = 3_600_000) -> int:
    return now_ms() + ms
