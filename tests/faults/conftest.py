"""Real workers, and producers for them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actors.brokers.rabbitmq import RabbitmqBroker
from actors.brokers.topology import QueueType, Topology
from tests.faults.deployment import Deployment, make_broker
from tests.faults.jobs import record
from tests.faults.journal import Journal
from tests.faults.producer import Producer
from tests.faults.schedulers import Schedulers
from tests.faults.ticks import Plan
from tests.faults.worker import Worker

LEASE_MS = 1_000


class Workers:
    """``dramatiq`` commands of ``tests.faults.jobs`` on one broker."""

    def __init__(self, url: str, store_url: str, prefix: str, queue_type: QueueType, folder: Path) -> None:
        self.journal = Journal(folder / "journal")
        self._folder = folder
        self._env = {
            "ACTORS_BROKER_URL": url,
            "ACTORS_STORE_URL": store_url,
            "ACTORS_QUEUE_PREFIX": prefix,
            "ACTORS_QUEUE_TYPE": queue_type,
            "ACTORS_IDEMPOTENCY_LEASE_MS": str(LEASE_MS),
            "JOURNAL": str(self.journal.path),
        }
        self._started: list[Worker] = []

    def start(self) -> Worker:
        log_file = self._folder / f"worker-{len(self._started)}.log"
        self._started.append(Worker("tests.faults.jobs", self._env, log_file))
        return self._started[-1]

    @property
    def newest(self) -> Worker:
        return self._started[-1]

    def close(self) -> None:
        for worker in self._started:
            worker.kill()


@pytest.fixture
def start_workers(redis_url: str, tmp_path: Path) -> Iterator[Callable[..., Workers]]:
    started: list[Workers] = []

    def start(url: str, prefix: str, queue_type: QueueType = "quorum") -> Workers:
        workers = Workers(url, redis_url, prefix, queue_type, tmp_path)
        started.append(workers)
        workers.start().wait_until_ready()
        return workers

    yield start
    for workers in started:
        workers.close()


@pytest.fixture
def make_producer() -> Iterator[Callable[..., Producer]]:
    brokers: list[RabbitmqBroker] = []

    def make(url: str, prefix: str, queue_type: QueueType = "quorum", publish_timeout_s: float = 10.0) -> Producer:
        topology = Topology(queue_type=queue_type, prefix=prefix)
        brokers.append(make_broker(url, topology, record, publish_timeout_s=publish_timeout_s))
        return Producer(brokers[-1])

    yield make
    for broker in brokers:
        broker.close()


Deploy = Callable[..., Deployment]


@pytest.fixture
def deploy(prefix: str, tmp_path: Path) -> Iterator[Deploy]:
    """Return a function that makes a deployment on a RabbitMQ and a Redis; it ends with the test."""
    made: list[Deployment] = []

    def make(rabbitmq_url: str, redis_url: str, **options: object) -> Deployment:
        made.append(Deployment(rabbitmq_url, redis_url, prefix, tmp_path, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close()


Schedule = Callable[..., Schedulers]


@pytest.fixture
def schedule(redis_url: str, prefix: str, tmp_path: Path) -> Iterator[Schedule]:
    """Return a function that makes schedulers of a plan on a RabbitMQ; nothing of them runs yet."""
    made: list[Schedulers] = []

    def make(url: str, plan: Plan, queue_type: QueueType = "quorum") -> Schedulers:
        made.append(Schedulers(url, redis_url, prefix, tmp_path, plan, queue_type))
        return made[-1]

    yield make
    for each in made:
        each.close()
