"""Workers of one process on the session's RabbitMQ and Redis, each with a guard of its own."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dramatiq
import pytest
import redis

import services
from actors.assembly import middleware, swap_store
from actors.brokers.rabbitmq import RabbitmqBroker
from actors.decorator import Actor
from middleware import AsyncIO, Idempotency
from middleware.keys import digest
from middleware.stores import Claim, Record, State, Store
from middleware.stores.redis import RedisStore
from tests.conformance.stores.subject import claim
from tests.integration.broker.conftest import MakeBroker, declare, make_broker, store

__all__ = ["declare", "make_broker", "store"]


class Site:
    """Brokers that stand for processes, and what is known of their messages.

    Attributes:
        store: the store of all.
        brokers: the first is the one to send by.
    """

    def __init__(self, store: Store, make: Callable[[], RabbitmqBroker]) -> None:
        self.store = store
        self._make = make
        self.brokers = [make()]

    def declare(self, fn: Callable[..., Any], **options: Any) -> Actor[..., Any]:
        """Declare *fn* as actor ``job`` in each process there is."""
        name, queue = options.pop("actor_name", "job"), "default"
        made = [
            Actor(fn, broker=broker, actor_name=name, queue_name=queue, priority=0, options=dict(options))
            for broker in self.brokers
        ]
        return made[0]

    def another(self) -> RabbitmqBroker:
        """One process more; declare actors after it."""
        self.brokers.append(self._make())
        return self.brokers[-1]

    @contextmanager
    def working(self, broker: RabbitmqBroker | None = None, *, threads: int = 4) -> Iterator[dramatiq.Worker]:
        """Let a process work for the block; at its end it has stopped in an orderly way."""
        worker = dramatiq.Worker(broker or self.brokers[0], worker_threads=threads, worker_timeout=50)
        worker.start()
        try:
            yield worker
        finally:
            worker.stop(timeout=10_000)

    @property
    def counts(self) -> Counter[str]:
        """What all processes have counted."""
        return sum((guard_of(broker).counts for broker in self.brokers), Counter())

    @property
    def left(self) -> tuple[int, int]:
        """How many messages wait in the queue, and how many are dead."""
        ready, _, dead = self.brokers[0].get_queue_message_counts("default")
        return ready, dead

    def record(self, key: str, scope: str = "job") -> Record | None:
        return self.store.inspect(digest(scope, key))

    def state(self, key: str) -> State | None:
        record = self.record(key)
        return record.state if record else None

    def taken(self, key: str, *, owner: str, lease_ms: int, **options: Any) -> Claim:
        """The claim of a worker that is heard of no more."""
        return claim(
            self.store, key=key, scope="job", digest=digest("job", key), owner=owner, lease_ms=lease_ms, **options
        )


def guard_of(broker: RabbitmqBroker) -> Any:
    return next(each.guard for each in broker.middleware if isinstance(each, Idempotency))


@pytest.fixture
def site(make_broker: MakeBroker, store: RedisStore) -> Site:
    # The event loop of async actors is a process's own, and the second one here would take the first one's.
    return Site(
        store, lambda: make_broker(middleware=[each for each in middleware()[1:] if not isinstance(each, AsyncIO)])
    )


@pytest.fixture
def frail_site(site: Site, private_redis: services.Redis, prefix: str) -> Iterator[Site]:
    """A site whose Redis is the test's own, to freeze and to flush."""
    site.store = RedisStore(private_redis.url, prefix=f"{prefix}.", timeout_s=0.3)
    outer = swap_store(site.store)
    yield site
    private_redis.thaw()
    swap_store(outer)


@pytest.fixture
def raw(private_redis: services.Redis) -> Iterator[Any]:
    """A plain client of the test's own Redis."""
    with redis.Redis.from_url(private_redis.url) as client:
        yield client
