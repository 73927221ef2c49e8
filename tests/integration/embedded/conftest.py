"""Brokers of a test's own, on one SQLite file, and workers in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import Middleware

from actors.assembly import middleware as default_middleware
from actors.assembly import swap_store
from actors.brokers.broker import Broker
from actors.brokers.sqlite import SCHEMA, SqliteEngine, SqliteOptions
from actors.decorator import Actor
from actors.fleet.sqlite import SCHEMA as FLEET_SCHEMA
from middleware.stores.sqlite import SCHEMA as STORE_SCHEMA
from middleware.stores.sqlite import SqliteFile, SqliteStore
from tests.unit.brokers.sqlite.table import Table

EmbeddedBroker = Broker[SqliteEngine]
MakeBroker = Callable[..., EmbeddedBroker]
Declare = Callable[..., Actor[..., Any]]
RunWorker = Callable[..., dramatiq.Worker]
Working = Callable[..., Any]


@pytest.fixture
def open_file(tmp_path: Path) -> Iterator[Callable[..., SqliteFile]]:
    """Return a function that opens the file as another process would."""
    with ExitStack() as stack:

        def opened(*, timeout_s: float = 10.0) -> SqliteFile:
            file = SqliteFile(
                tmp_path / "actors.db", schema=[*STORE_SCHEMA, *SCHEMA, *FLEET_SCHEMA], timeout_s=timeout_s
            )
            return stack.enter_context(closing(file))

        yield opened


@pytest.fixture
def file(open_file: Callable[..., SqliteFile]) -> SqliteFile:
    return open_file()


@pytest.fixture
def table(file: SqliteFile) -> Table:
    return Table(file)


@pytest.fixture
def store(file: SqliteFile) -> Iterator[SqliteStore]:
    """The store in the same file, in place of the one that the settings name."""
    store = SqliteStore(file)
    outer = swap_store(store)
    yield store
    swap_store(outer)


@pytest.fixture
def make_broker(file: SqliteFile, store: SqliteStore) -> Iterator[MakeBroker]:
    """Return a function that makes brokers on the file."""
    brokers: list[EmbeddedBroker] = []

    def make(*, middleware: list[Middleware] | None = None, **options: Any) -> EmbeddedBroker:
        made = SqliteEngine(SqliteOptions(**{"file": file, **options}))
        broker = Broker(lambda: made, middleware=default_middleware()[1:] if middleware is None else middleware)
        brokers.append(broker)
        return broker

    yield make
    for broker in brokers:
        broker.close()


@pytest.fixture
def broker(make_broker: MakeBroker) -> EmbeddedBroker:
    return make_broker()


@pytest.fixture
def declare() -> Declare:
    """Return a function that declares a (nested) function as an actor on a broker."""

    def declare_on(broker: EmbeddedBroker, fn: Callable[..., Any], **options: Any) -> Actor[..., Any]:
        return Actor(
            fn,
            broker=broker,
            actor_name=options.pop("actor_name", fn.__name__),
            queue_name=options.pop("queue_name", "default"),
            priority=0,
            options=options,
        )

    return declare_on


@contextmanager
def working(broker: EmbeddedBroker, *, threads: int = 4) -> Iterator[dramatiq.Worker]:
    """Let a worker work for the block; at its end it has stopped in an orderly way."""
    worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=50)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop(timeout=10_000)


@pytest.fixture
def run_worker() -> Iterator[RunWorker]:
    """Return a function that starts a worker in this process; it is stopped at the end."""
    with ExitStack() as stack:
        yield lambda broker, threads=4: stack.enter_context(working(broker, threads=threads))
