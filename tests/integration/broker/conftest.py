"""Brokers of a test's own, on the session's RabbitMQ, and workers in this process."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import dramatiq
import pika
import pytest
from dramatiq.middleware import Middleware

import services
from actors.assembly import middleware as default_middleware
from actors.assembly import swap_store
from actors.brokers.nodes import Nodes
from actors.brokers.rabbitmq import RabbitmqBroker, RabbitmqOptions
from actors.brokers.topology import Topology
from actors.decorator import Actor
from middleware.stores.redis import RedisStore

MakeBroker = Callable[..., RabbitmqBroker]
Declare = Callable[..., Actor[..., Any]]


@pytest.fixture(params=["quorum", pytest.param("classic", marks=pytest.mark.long)])
def queue_type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(redis_url: str, prefix: str) -> Iterator[RedisStore]:
    """The session's Redis, in place of the one that the settings name."""
    store = RedisStore(redis_url, prefix=f"{prefix}.")
    outer = swap_store(store)
    yield store
    swap_store(outer)


@pytest.fixture
def make_broker(broker_url: str, prefix: str, store: RedisStore) -> Iterator[MakeBroker]:
    """Return a function that makes brokers; their queues are deleted at the end."""
    brokers: list[RabbitmqBroker] = []

    def make(
        *, middleware: list[Middleware] | None = None, url: str = broker_url, queue_type: str = "quorum", **options: Any
    ) -> RabbitmqBroker:
        topology = Topology(
            queue_type=queue_type,  # type: ignore[arg-type]
            prefix=options.pop("prefix", prefix),
            max_priority=options.pop("max_priority", None),
        )
        nodes = options.pop("nodes", None) or Nodes([url])
        made = RabbitmqOptions(nodes, topology, **{"publish_timeout_s": 5.0, **options})
        broker = RabbitmqBroker(lambda: made, middleware=default_middleware()[1:] if middleware is None else middleware)
        brokers.append(broker)
        return broker

    yield make
    for broker in brokers:
        broker.close()
    delete_queues(broker_url, brokers)


def delete_queues(url: str, brokers: list[RabbitmqBroker]) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connection.channel()
        for broker in brokers:
            topology = broker.engine.options.topology
            names = [queue.name for queue in topology.holds().values()]
            for queue in broker.queues:
                generations = [topology.work(queue), topology.dead(queue), *topology.earlier(queue)]
                names += [each.name for each in generations]
            for name in names:
                channel.queue_delete(name)
    finally:
        connection.close()


@pytest.fixture
def declare() -> Declare:
    """Return a function that declares a (nested) function as an actor on a broker."""

    def declare_on(broker: RabbitmqBroker, fn: Callable[..., Any], **options: Any) -> Actor[..., Any]:
        return Actor(
            fn,
            broker=broker,
            actor_name=options.pop("actor_name", fn.__name__),
            queue_name=options.pop("queue_name", "default"),
            priority=0,
            options=options,
        )

    return declare_on


RunWorker = Callable[..., dramatiq.Worker]


@pytest.fixture
def run_worker() -> Iterator[RunWorker]:
    """Return a function that starts a worker in this process; it is stopped at the end."""
    with ExitStack() as stack:

        @contextmanager
        def running(broker: RabbitmqBroker, threads: int) -> Iterator[dramatiq.Worker]:
            worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=50)
            worker.start()
            try:
                yield worker
            finally:
                worker.stop(timeout=10_000)

        yield lambda broker, threads=4: stack.enter_context(running(broker, threads))


@contextmanager
def full(server: services.RabbitMQ, prefix: str, pattern: str) -> Iterator[None]:
    """Let the classic queues whose names go on with *pattern* after *prefix* refuse messages for the block."""
    with server.policy(f"^{prefix}\\.{pattern}", '{"max-length":0,"overflow":"reject-publish"}'):
        yield


@pytest.fixture
def channel(broker_url: str) -> Iterator[Any]:
    """A plain channel, to look at RabbitMQ from outside."""
    connection = pika.BlockingConnection(pika.URLParameters(broker_url))
    yield connection.channel()
    connection.close()
