"""Workers of one module of actors on one RabbitMQ and one Redis, and a producer for them."""

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import dramatiq
import pika
import redis

from actors.assembly import middleware
from actors.brokers.admin import Admin, Depth
from actors.brokers.nodes import Nodes
from actors.brokers.rabbitmq import RabbitmqBroker, RabbitmqOptions
from actors.brokers.topology import QueueType, Topology
from actors.decorator import Actor
from middleware import RecordedResults
from middleware.stores import Record, pages
from middleware.stores.redis import RedisStore
from services.broker import RabbitMQ
from services.deadline import until
from tests.faults import once
from tests.faults.effects import Effects
from tests.faults.replica import Replica
from tests.faults.worker import Worker

QUEUE = "default"
# How many workers there are at least when one is killed.
WARM_WORKERS = 4

Message = dramatiq.Message[Any]


def make_broker(
    url: str, topology: Topology, *actors: Actor[..., Any], publish_timeout_s: float = 10.0
) -> RabbitmqBroker:
    """Return a broker that sends to *actors*."""
    options = RabbitmqOptions(Nodes([url]), topology, publish_timeout_s=publish_timeout_s)
    broker = RabbitmqBroker(lambda: options, middleware=middleware()[1:])
    for each in actors:
        Actor(
            each.fn,
            broker=broker,
            actor_name=each.actor_name,
            queue_name=QUEUE,
            priority=0,
            options=dict(each.options),
        )
    return broker


class Deployment:
    """Workers of *module* that hold their keys for *lease_ms*, and all that there is to look at.

    Attributes:
        lease_s: the lease, in seconds.
        workers: all that were started, also those that have ended.
        killed: the process groups of those that were killed, and when, in seconds since the Unix epoch.
        effects: what they did.
        store: the records.
        broker: the producer's.
        rabbitmq_url: where its queues are.
    """

    def __init__(
        self,
        rabbitmq_url: str,
        redis_url: str,
        prefix: str,
        folder: Path,
        *,
        lease_ms: int,
        queue_type: QueueType = "quorum",
        module: ModuleType = once,
        **settings: str,
    ) -> None:
        self.lease_s = lease_ms / 1000
        self.workers: list[Worker] = []
        self.killed: dict[int, float] = {}
        self._schedulers: list[Replica] = []
        self.effects = Effects(folder / "effects")
        self.store = RedisStore(redis_url, prefix=f"{prefix}actors:")
        self._topology = Topology(queue_type=queue_type, prefix=prefix)
        self.broker = make_broker(rabbitmq_url, self._topology, *module.ACTORS)
        self._results = RecordedResults(lambda: self.store, broker=lambda: self.broker)
        self._nodes = Nodes([rabbitmq_url])
        all_queues = [self._topology.work(QUEUE), self._topology.dead(QUEUE), *self._topology.holds().values()]
        self._queues = {queue.name: queue for queue in all_queues}
        self._redis_url = redis_url
        self.rabbitmq_url = rabbitmq_url
        self._folder = folder
        self._module = module.__name__
        self._env = {
            "ACTORS_BROKER_URL": rabbitmq_url,
            "ACTORS_STORE_URL": redis_url,
            "ACTORS_QUEUE_PREFIX": prefix,
            "ACTORS_QUEUE_TYPE": queue_type,
            "ACTORS_IDEMPOTENCY_LEASE_MS": str(lease_ms),
            "EFFECTS": str(self.effects.path),
            **settings,
        }

    def start(self, count: int = 1) -> Worker:
        """Start workers, wait until they are ready, and return the last."""
        for _ in range(count):
            newest = self.start_one()
        for worker in self.workers[-count:]:
            worker.wait_until_ready()
        return newest

    def start_one(self) -> Worker:
        """Start a worker, and return at once."""
        log_file = self._folder / f"worker-{len(self.workers)}.log"
        self.workers.append(Worker(self._module, self._env, log_file))
        return self.workers[-1]

    def start_scheduler(self) -> None:
        """Start a scheduler of the module, and wait until it leads."""
        replica = Replica(["-m", "periodic", self._module], self._env, self._folder / "scheduler.log")
        self._schedulers.append(replica)
        until(lambda: replica.leads, seconds=60, what="a leader")

    def kill(self, worker: Worker) -> None:
        worker.kill()
        self.killed[worker.group] = time.time()

    def running(self) -> list[Worker]:
        """Return the workers that were started and not killed."""
        return [worker for worker in self.workers if worker.group not in self.killed]

    def warm(self) -> list[Worker]:
        """Return those of them that are ready."""
        return [worker for worker in self.running() if worker.is_ready]

    def send(self, actor_name: str, keys: Iterable[str], *, pause_ms: int = 0, **options: Any) -> list[Message]:
        """Send a message for each of *keys*, and return them once they are confirmed."""
        actor = self.broker.get_actor(actor_name)
        return self.broker.enqueue_many([actor.message_with_options(args=(key, pause_ms), **options) for key in keys])

    def wait_for(self, keys: Iterable[str], *, seconds: float) -> None:
        """Wait until the work of all *keys* has come to its end."""
        wanted = set(keys)
        until(lambda: wanted <= self.effects.done(), seconds=seconds, what=f"all of {len(wanted)} keys")

    def kill_around_bursts(self, actor_name: str, keys: Sequence[str], kills: int, *, within_s: float) -> None:
        """Send *keys* in as many bursts as *kills*; kill a warm worker within so many seconds of the start of each."""
        burst = len(keys) // kills
        for start in range(0, len(keys), burst):
            until(lambda: len(self.warm()) >= WARM_WORKERS, seconds=60, what="warm workers")
            victim = random.choice(self.warm())
            self.start_one()
            killer = threading.Timer(random.uniform(0, within_s), self.kill, [victim])
            killer.start()
            self.send(actor_name, keys[start : start + burst], pause_ms=random.randint(1, 3))
            killer.join()

    def stop(self) -> None:
        """SIGTERM the schedulers, then the workers, which record and ack what has ended, and wait for them."""
        for replica in self._schedulers:
            replica.stop()
        for worker in self.running():
            worker.terminate()
        for worker in self.running():
            worker.wait()

    def left(self) -> dict[str, int]:
        """Return what is in the queues, held messages and dead letters included, once all workers have stopped."""
        # With its last consumer gone nothing is delivered and unacked, and all there is counts as ready.
        until(lambda: not any(depth.consumers for depth in self._depths().values()), seconds=10, what="no consumers")
        return self.ready()

    def ready(self) -> dict[str, int]:
        """Return what is in the queues and not delivered to anybody, by queue."""
        return {name: depth.messages for name, depth in self._depths().items() if depth.messages}

    def unacked(self, server: RabbitMQ) -> dict[str, int]:
        """Return what is delivered and not acked, by queue; exact for classic queues, seconds old for others."""
        return {name: count for name, count in server.unacked().items() if name in self._queues and count}

    def flush_store(self) -> None:
        """Let Redis lose everything."""
        with redis.Redis.from_url(self._redis_url) as client:
            client.flushall()

    @property
    def work_queue(self) -> str:
        return self._topology.work(QUEUE).name

    @property
    def dead_queue(self) -> str:
        return self._topology.dead(QUEUE).name

    def poison(self) -> set[str]:
        """Return the keys of the dead letters."""
        return {letter.args[0] for letter in self.dead_letters()}

    def dead_letters(self) -> list[Message]:
        """Return the dead letters, which stay where they are."""
        found = []
        with pika.BlockingConnection(pika.URLParameters(self.rabbitmq_url)) as connection:
            channel = connection.channel()
            while (got := channel.basic_get(self._topology.dead(QUEUE).name))[0] is not None:
                found.append(dramatiq.Message.decode(got[2]))
        return found

    def result(self, message: Message) -> Any:
        """Return what the record of *message* holds as its result."""
        return self._results.get_result(message)

    def open_records(self) -> list[Record]:
        """Return the records that are not done."""
        return list(pages(self.store))

    def said(self, what: str) -> Counter[str]:
        """Return how often the workers' logs count each message as *what*, such as ``duplicate``, by its id."""
        return Counter(each for worker in self.workers for each in re.findall(f" {what}: message (\\S+)", worker.log()))

    def close(self) -> None:
        for replica in self._schedulers:
            replica.kill()
        for worker in self.workers:
            worker.kill()
        self.broker.close()

    def _depths(self) -> dict[str, Depth]:
        with Admin(self._nodes, timeout_s=20) as admin:
            depths = {name: admin.depth(queue) for name, queue in self._queues.items()}
        return {name: depth for name, depth in depths.items() if depth is not None}
