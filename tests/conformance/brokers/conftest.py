"""All brokers, one after the other: in memory, on a file, and on the session's RabbitMQ and Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.assembly import middleware, swap_store
from actors.brokers.broker import Broker
from actors.brokers.nodes import Nodes
from actors.brokers.rabbitmq import RabbitmqBroker, RabbitmqOptions
from actors.brokers.sqlite import SCHEMA, SqliteEngine, SqliteOptions
from actors.brokers.topology import Topology
from actors.fleet.sqlite import SCHEMA as FLEET_SCHEMA
from actors.testing import StubBroker
from middleware.stores import MemoryStore, Store
from middleware.stores.redis import RedisStore
from middleware.stores.sqlite import SCHEMA as STORE_SCHEMA
from middleware.stores.sqlite import SqliteFile, SqliteStore
from tests.conformance.brokers.subject import MAX_BYTES, InMemory, InRabbitmq, InSqlite, SharedSubject, Subject
from tests.integration.broker.conftest import delete_queues


@pytest.fixture
def in_memory() -> Iterator[InMemory]:
    store = MemoryStore()
    with in_place(store):
        yield InMemory(StubBroker(middleware=middleware()[1:], max_message_bytes=lambda: MAX_BYTES), store)


@pytest.fixture
def in_sqlite(tmp_path: Path) -> Iterator[InSqlite]:
    with closing(SqliteFile(tmp_path / "actors.db", schema=[*STORE_SCHEMA, *SCHEMA, *FLEET_SCHEMA])) as file:
        store = SqliteStore(file)
        engine = SqliteEngine(SqliteOptions(file, max_message_bytes=MAX_BYTES))
        with in_place(store), closing(Broker(lambda: engine, middleware=middleware()[1:])) as broker:
            yield InSqlite(broker, store)


@pytest.fixture
def make_in_rabbitmq(broker_url: str, redis_url: str, prefix: str) -> Iterator[Callable[..., InRabbitmq]]:
    with ExitStack() as stack:

        def make(**topology: Any) -> InRabbitmq:
            store = RedisStore(redis_url, prefix=f"{prefix}.")
            options = RabbitmqOptions(
                Nodes([broker_url]), Topology(prefix=prefix, **topology), max_message_bytes=MAX_BYTES
            )
            stack.enter_context(in_place(store))
            broker = RabbitmqBroker(lambda: options, middleware=middleware()[1:])
            stack.callback(delete_queues, broker_url, [broker])
            stack.enter_context(closing(broker))
            return InRabbitmq(broker, store)

        yield make


@pytest.fixture(params=["memory", "sqlite", "rabbitmq"])
def subject(request: pytest.FixtureRequest) -> Subject:
    """A broker of whatever kind."""
    return _subject(request)


@pytest.fixture(params=["sqlite", "rabbitmq"])
def shared(request: pytest.FixtureRequest) -> SharedSubject:
    """A broker that other processes use, too; that in memory is of one process."""
    return _subject(request)  # type: ignore[return-value]


@pytest.fixture(params=["sqlite", "rabbitmq"])
def prioritized(request: pytest.FixtureRequest) -> SharedSubject:
    """A broker with priorities, for which RabbitMQ needs a classic queue."""
    return _subject(request, queue_type="classic", max_priority=9)  # type: ignore[return-value]


@contextmanager
def in_place(store: Store) -> Iterator[None]:
    """Use *store* in place of the one that the settings name."""
    outer = swap_store(store)
    try:
        yield
    finally:
        swap_store(outer)


def _subject(request: pytest.FixtureRequest, **topology: Any) -> Subject:
    # Only what is asked for is started.
    if request.param != "rabbitmq":
        found: Subject = request.getfixturevalue(f"in_{request.param}")
        return found
    made: Subject = request.getfixturevalue("make_in_rabbitmq")(**topology)
    return made
