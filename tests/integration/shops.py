"""The application of a test's own on each engine, with power over what is in its queues."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from actors.brokers.admin import Admin
from actors.brokers.nodes import Nodes
from actors.brokers.rabbitmq import RabbitmqBroker, RabbitmqOptions
from actors.brokers.sqlite import SCHEMA
from actors.brokers.sqlite.audience import listeners
from actors.brokers.sqlite.bell import Bell
from actors.brokers.sqlite.dead_letters import Burial, bury
from actors.brokers.topology import Queue, Topology
from middleware import Letter
from middleware.stores.sqlite import SqliteFile
from tests.integration.project import Project

QUEUES = ("default", "reports")


class Shop(Project):
    """An application, whatever keeps its messages."""

    def bury(self, letters: Sequence[tuple[Letter, bytes]]) -> None:
        """Put dead letters where workers leave them."""
        raise NotImplementedError

    def dead(self) -> int:
        """How many dead letters there are."""
        raise NotImplementedError

    def ready(self) -> int:
        """How many messages are ready."""
        raise NotImplementedError


class RabbitmqShop(Shop):
    """On the session's RabbitMQ."""

    def bury(self, letters: Sequence[tuple[Letter, bytes]]) -> None:
        options = RabbitmqOptions(Nodes([self.env["ACTORS_BROKER_URL"]]), self._topology)
        with closing(RabbitmqBroker(lambda: options, middleware=[])) as broker:
            engine = broker.engine
            assert engine.publisher.publish([engine.bury(body, letter) for letter, body in letters], 30) == []

    def dead(self) -> int:
        return sum(self._count(self._topology.dead(queue)) for queue in QUEUES)

    def ready(self) -> int:
        return sum(self._count(self._topology.work(queue)) for queue in QUEUES)

    @property
    def _topology(self) -> Topology:
        return Topology("quorum", self.prefix)

    def _count(self, queue: Queue) -> int:
        with Admin(Nodes([self.env["ACTORS_BROKER_URL"]]), timeout_s=10) as admin:
            depth = admin.depth(queue)
        return depth.messages if depth is not None else 0


class EmbeddedShop(Shop):
    """In a file in its folder; a relative URL names it.

    Attributes:
        file: the path.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, broker_url="sqlite:///jobs.db", store_url="", prefix="")
        self.file = folder / "jobs.db"

    def bury(self, letters: Sequence[tuple[Letter, bytes]]) -> None:
        with closing(SqliteFile(self.file, schema=SCHEMA)) as file, file.write() as connection:
            for letter, body in letters:
                bury(connection, Burial(letter, body))

    def dead(self) -> int:
        return self._count("SELECT count(*) FROM actors_dead_letter")

    def ready(self) -> int:
        return self._count("SELECT count(*) FROM actors_message WHERE available = 0 AND holder IS NULL")

    def consumers(self, **env: str) -> int:
        return sum(listeners(Bell(self.file), queue) for queue in QUEUES)

    def _count(self, statement: str) -> int:
        with closing(sqlite3.connect(self.file)) as connection:
            return int(connection.execute(statement).fetchone()[0])


@contextmanager
def on_rabbitmq(folder: Path, *, broker_url: str, store_url: str, prefix: str) -> Iterator[RabbitmqShop]:
    """Give an application whose queues are deleted at the end."""
    shop = RabbitmqShop(folder, broker_url=broker_url, store_url=store_url, prefix=prefix)
    yield shop
    shop.delete_queues()
