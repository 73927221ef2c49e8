"""All engines that operators look into, one after the other: RabbitMQ with either type of queue, and a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from actors.assembly import middleware, swap_store
from actors.brokers import taking
from actors.brokers.broker import Broker
from actors.brokers.nodes import Nodes
from actors.brokers.rabbitmq import RabbitmqBroker, RabbitmqOptions
from actors.brokers.sqlite import SCHEMA, SqliteEngine, SqliteOptions
from actors.brokers.topology import Topology
from actors.dead_letters.rabbitmq import replay as rabbitmq_replay
from actors.dead_letters.sqlite import graves as sqlite_graves
from actors.dead_letters.sqlite import replay as sqlite_replay
from actors.dead_letters.sqlite import walk
from middleware.stores.redis import RedisStore
from middleware.stores.sqlite import SCHEMA as STORE_SCHEMA
from middleware.stores.sqlite import SqliteFile, SqliteStore
from tests.conformance.operators.site import RabbitmqSite, Site, SqliteSite
from tests.integration.broker.conftest import delete_queues

MakeSite = Callable[..., Site]


@pytest.fixture(params=["sqlite", "quorum", pytest.param("classic", marks=pytest.mark.long)])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make_site(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeSite]:
    """Return a function that makes a site, with options of its engine."""
    with ExitStack() as stack:

        def make(**options: Any) -> Site:
            if engine == "sqlite":
                return stack.enter_context(closing(_in_file(stack, tmp_path / "actors.db", options)))
            # Only what is asked for is started.
            url, redis_url, prefix = (request.getfixturevalue(name) for name in ("broker_url", "redis_url", "prefix"))
            topology = Topology(engine, prefix=prefix)  # type: ignore[arg-type]
            made = RabbitmqOptions(Nodes([url]), topology, publish_timeout_s=5.0, **options)
            store = RedisStore(redis_url, prefix=f"{prefix}.")
            stack.callback(swap_store, swap_store(store))
            broker = RabbitmqBroker(lambda: made, middleware=middleware()[1:])
            stack.callback(delete_queues, url, [broker])
            return stack.enter_context(closing(RabbitmqSite(broker, store)))

        yield make


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whoever goes through dead letters take a few at a time."""
    monkeypatch.setattr(taking, "DEEPEST", 7)
    for name, size in {"FIRST": 2, "CHUNK": 7, "WHOLE": 3}.items():
        monkeypatch.setattr(walk, name, size)
    monkeypatch.setattr(sqlite_graves, "STEP", 4)
    monkeypatch.setattr(sqlite_replay, "BATCH", 5)


@pytest.fixture
def counts_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a replay look often whether its messages fail again."""
    for module in (rabbitmq_replay, sqlite_replay):
        monkeypatch.setattr(module, "COUNT_EVERY_S", 0.1)


def _in_file(stack: ExitStack, path: Path, options: dict[str, Any]) -> SqliteSite:
    file = stack.enter_context(closing(SqliteFile(path, schema=[*STORE_SCHEMA, *SCHEMA])))
    store, engine = SqliteStore(file), SqliteEngine(SqliteOptions(file, **options))
    stack.callback(swap_store, swap_store(store))
    return SqliteSite(Broker(lambda: engine, middleware=middleware()[1:]), store)
