"""The systems that are compared, each as its users would run it."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.rabbitmq import RabbitmqBroker as PlainBroker
from dramatiq.middleware import SkipMessage

from actors.assembly import middleware, swap_store
from actors.brokers.nodes import Nodes
from actors.brokers.rabbitmq import RabbitmqBroker, RabbitmqOptions
from actors.brokers.topology import Topology
from middleware.stores.redis import RedisStore

QUEUE = "bench"


@dataclass(frozen=True)
class Servers:
    """Where a trial finds RabbitMQ and Redis, and the prefix of all its names there."""

    broker_url: str
    store_url: str
    prefix: str


@dataclass(frozen=True)
class System:
    """A broker under a name, and the options of its actor."""

    name: str
    make: Callable[[Servers], dramatiq.Broker]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        return self.name.startswith("plain")


class TwoCalls(dramatiq.Middleware):
    """Idempotency as it is often written: a key is set before the attempt if it is not there, and again after it."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url)

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        if not self._redis.set(message.message_id, "running", nx=True, ex=86_400):
            raise SkipMessage

    def after_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, **ended: Any) -> None:
        self._redis.set(message.message_id, "done", ex=86_400)


def _plain(servers: Servers, *, confirm: bool = False, two_calls: bool = False) -> dramatiq.Broker:
    broker = PlainBroker(url=servers.broker_url, confirm_delivery=confirm)
    if two_calls:
        broker.add_middleware(TwoCalls(servers.store_url))
    broker.declare_queue(f"{servers.prefix}.{QUEUE}")
    return broker


def _ours(servers: Servers, *, queue_type: str = "quorum") -> dramatiq.Broker:
    swap_store(RedisStore(servers.store_url, prefix=f"{servers.prefix}.{secrets.token_hex(4)}."))
    topology = Topology(queue_type=queue_type, prefix=servers.prefix)  # type: ignore[arg-type]
    options = RabbitmqOptions(Nodes([servers.broker_url]), topology, publish_timeout_s=120)
    return RabbitmqBroker(lambda: options, middleware=middleware()[1:])


PLAIN = System("plain", _plain)
SUITES = {
    "broker": (
        PLAIN,
        System("plain, confirms", lambda servers: _plain(servers, confirm=True)),
        System("ours, quorum", _ours, {"idempotent": False}),
        System("ours, classic", lambda servers: _ours(servers, queue_type="classic"), {"idempotent": False}),
    ),
    "idempotency": (
        PLAIN,
        System("plain, two Redis calls", lambda servers: _plain(servers, two_calls=True)),
        System("ours, idempotent=False", _ours, {"idempotent": False}),
        System("ours, by message id", _ours),
        System("ours, by key", _ours, {"idempotency_key": "noop:{number}"}),
    ),
}
SYSTEMS = {system.name: system for suite in SUITES.values() for system in suite}


def queue_name(system: System, prefix: str) -> str:
    """Return what the system's actors are declared with; plain Dramatiq knows no prefix."""
    return f"{prefix}.{QUEUE}" if system.is_plain else QUEUE
