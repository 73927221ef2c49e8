"""The brokers that are compared, each as its users would run it."""

from collections.abc import Callable
from dataclasses import dataclass

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker as PlainBroker

from actors.assembly import middleware
from actors.brokers.nodes import Nodes
from actors.brokers.rabbitmq import RabbitmqBroker, RabbitmqOptions
from actors.brokers.topology import Topology

QUEUE = "bench"


@dataclass(frozen=True)
class System:
    """A broker under a name, and what its producers are promised."""

    name: str
    make: Callable[[str, str], dramatiq.Broker]


def _plain(url: str, prefix: str, *, confirm: bool) -> dramatiq.Broker:
    broker = PlainBroker(url=url, confirm_delivery=confirm)
    broker.declare_queue(f"{prefix}.{QUEUE}")
    return broker


def _ours(url: str, prefix: str, *, queue_type: str) -> dramatiq.Broker:
    topology = Topology(queue_type=queue_type, prefix=prefix)  # type: ignore[arg-type]
    options = RabbitmqOptions(Nodes([url]), topology, publish_timeout_s=120)
    return RabbitmqBroker(lambda: options, middleware=middleware()[1:])


SYSTEMS = {
    system.name: system
    for system in (
        System("plain", lambda url, prefix: _plain(url, prefix, confirm=False)),
        System("plain, confirms", lambda url, prefix: _plain(url, prefix, confirm=True)),
        System("ours, quorum", lambda url, prefix: _ours(url, prefix, queue_type="quorum")),
        System("ours, classic", lambda url, prefix: _ours(url, prefix, queue_type="classic")),
    )
}
BASELINE = "plain"


def queue_name(system: str, prefix: str) -> str:
    """Return what the system's actors are declared with; plain Dramatiq knows no prefix."""
    return f"{prefix}.{QUEUE}" if system.startswith("plain") else QUEUE
