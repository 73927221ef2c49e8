"""What an exporter sees of queues, dead letters and schedules; it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from actors.assembly import broker, on_rabbitmq, settings
from actors.brokers.admin import Admin
from actors.brokers.sqlite import SqliteEngine
from actors.checks.file_queues import FileQueue, look_at_file
from actors.checks.queues import LogicalQueue, look_at_queues, users_of_queues
from actors.dead_letters import dead_letters
from actors.operating import Overview, operator

# How many queues, and how many schedules, have numbers of their own.
MOST_QUEUES = MOST_SCHEDULES = 1_000


@dataclass(frozen=True, slots=True)
class Depth:
    """A logical queue.

    Attributes:
        queue: its name.
        messages: how many it has, by state.
        consumers: how many consumers.
    """

    queue: str
    messages: Mapping[str, int]
    consumers: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is besides depths.

    Attributes:
        oldest: when the oldest dead letter of a queue died, by the queue's name.
        overview: of schedules and schedulers.
    """

    oldest: Mapping[str, datetime] = field(default_factory=dict)
    overview: Overview = field(default_factory=lambda: Overview({}, {}, 0, {}, 0))


def look_at_depths(*, timeout_s: float) -> list[Depth]:
    """Return the queues: a question to RabbitMQ for each that may exist, or a look at the file.

    Raises:
        BrokerError: RabbitMQ does not answer within *timeout_s* seconds, or the file can't be used.
    """
    users = users_of_queues(broker.actors.values(), settings().queue_routes)
    found: Sequence[Depth]
    if isinstance(broker.engine, SqliteEngine):
        found = list(map(_of_file, look_at_file(broker.engine.options.file, users)))
    else:
        options = on_rabbitmq().engine.options
        with Admin(options.nodes, timeout_s=timeout_s) as admin:
            found = list(map(_of_rabbitmq, look_at_queues(admin, options.topology, users)))
    return found[:MOST_QUEUES]


def look_at_rest(depths: Sequence[Depth], *, timeout_s: float) -> Seen:
    """Return what else there is: the first dead letters are looked at, and the records of runs, where they are.

    Raises:
        BrokerError, ActorsError: as for depths, and where what schedulers keep can't be read.
    """
    oldest = {}
    if any(each.messages.get("dead") for each in depths):
        stocks = dead_letters(timeout_s=timeout_s).stock()
        oldest = {each.queue: datetime.fromtimestamp(each.oldest / 1000, UTC) for each in stocks if each.oldest}
    return Seen(oldest, operator(timeout_s=timeout_s).overview(limit=MOST_SCHEDULES))


def _of_rabbitmq(queue: LogicalQueue) -> Depth:
    # RabbitMQ tells a client what is ready, and not what consumers have or what waits in memory.
    return Depth(queue.name, {"ready": queue.ready, "dead": queue.dead}, queue.consumers)


def _of_file(queue: FileQueue) -> Depth:
    messages = {"ready": queue.ready, "delayed": queue.delayed, "unacked": queue.in_hand, "dead": queue.dead}
    return Depth(queue.name, messages, queue.consumers)
