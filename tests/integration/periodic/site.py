"""Schedulers in this process, on RabbitMQ, and what they leave in its queues."""

import json
import threading
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pika
from pika import BasicProperties

from actors.brokers.nodes import Nodes
from actors.brokers.topology import QueueType, Topology
from periodic import every
from periodic.ledger import HEADER
from periodic.missed import Missed
from periodic.queues import Publication, Queue
from periodic.roster import Roster
from periodic.schedule import Schedule
from periodic.scheduler import Scheduler, utc_now
from periodic.status import Role
from periodic.takeover import Replica
from periodic.tick import Tick
from periodic.watermark import Watermark
from services.deadline import until

PERSISTENT = 2


def schedule(name: str = "a", every_ms: int = 50, **options: Any) -> Schedule:
    return every(timedelta(milliseconds=every_ms), **options).schedule(name, "job")


class Site:
    """The queues of one environment, and replicas of its scheduler.

    Attributes:
        queues: those of the scheduler.
        channel: a plain channel, to look at RabbitMQ from outside.
    """

    def __init__(self, url: str, prefix: str, queue_type: QueueType) -> None:
        self._nodes = Nodes([url], heartbeat_s=2)
        self._topology = Topology(queue_type, prefix)
        self.queues = self._topology.periodic()
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self._connection.channel()
        self._running = ExitStack()
        self._work: set[str] = set()

    def work(self, schedule: Schedule | None = None) -> Queue:
        """The queue of a schedule's messages."""
        queue = self._topology.work((schedule.queue if schedule is not None else None) or "default")
        self._work.add(queue.name)
        return queue

    def publication(self, schedule: Schedule, tick: Tick) -> Publication:
        body = json.dumps([tick.schedule, tick.time.isoformat()]).encode()
        return Publication(self.work(schedule), body, BasicProperties(message_id=tick.id, delivery_mode=PERSISTENT))

    def scheduler(
        self,
        *schedules: Schedule,
        name: str = "one",
        started: datetime | None = None,
        generation: int = 0,
        clock: Callable[[], datetime] = utc_now,
        publication: Callable[[Schedule, Tick], Publication] | None = None,
    ) -> Scheduler:
        """A replica that does not run yet."""
        replica = Replica(name, started or clock(), {each.name: each for each in schedules}, generation)
        nodes = self._nodes.parameters("scheduler")
        return Scheduler(replica, nodes, self.queues, publication or self.publication, clock=clock)

    def start(self, scheduler: Scheduler) -> Callable[[], None]:
        """Run a replica beside the test; return what stops it."""
        thread = threading.Thread(target=scheduler.run)
        thread.start()

        def stop() -> None:
            scheduler.stop()
            thread.join(20)
            assert not thread.is_alive()

        self._running.callback(stop)
        return stop

    @contextmanager
    def leading(self, *schedules: Schedule, **options: Any) -> Any:
        """A replica that leads beside the block."""
        scheduler = self.scheduler(*schedules, **options)
        stop = self.start(scheduler)
        wait_until(scheduler, Role.LEADING)
        yield scheduler
        stop()

    def declare(self) -> None:
        """Make the queues of the scheduler."""
        for each in fields(self.queues):
            self._declare(getattr(self.queues, each.name))

    def begin_with(self, watermark: Watermark | None, roster: Roster | None) -> None:
        """Leave in the queues what an earlier leader may have left there."""
        self.declare()
        if watermark is not None:
            headers = {HEADER: watermark.encode()}
            properties = BasicProperties(delivery_mode=PERSISTENT, headers=headers)
            self.channel.basic_publish("", self.queues.watermark.name, b"", properties)
        if roster is not None:
            self.channel.basic_publish("", self.queues.roster.name, roster.encode(), BasicProperties(delivery_mode=2))

    def watermark(self) -> Watermark:
        """The watermark that a new leader would find; nobody leads."""
        _, properties, _ = self._only(self.queues.watermark)
        return Watermark.decode(properties.headers[HEADER])

    def roster(self) -> Roster:
        return Roster.decode(self._only(self.queues.roster)[2])

    def take(self, queue: Queue) -> list[tuple[Any, BasicProperties, bytes]]:
        """All that is in *queue*; it is empty afterwards."""
        taken = []
        while (got := self.channel.basic_get(queue.name, auto_ack=True))[0] is not None:
            taken.append(got)
        return taken

    def enqueued(self, *schedules: Schedule) -> list[Tick]:
        """The ticks whose messages are in the work queues of *schedules*, in order, taken from there."""
        names = {self.work(each).name: self.work(each) for each in (schedules or (None,))}
        found = [json.loads(body) for queue in names.values() for _, _, body in self.take(queue)]
        times = [(name, datetime.fromisoformat(time)) for name, time in found]
        return [Tick(name, time, time) for name, time in times]

    def missed(self) -> list[Missed]:
        return [Missed.decode(body) for _, _, body in self.take(self.queues.missed)]

    def depth(self, queue: Queue) -> int:
        """How many messages are ready in *queue*; -1 if it does not exist."""
        channel = self._connection.channel()
        try:
            count = int(channel.queue_declare(queue.name, passive=True).method.message_count)
        except pika.exceptions.ChannelClosedByBroker:
            return -1
        channel.close()
        return count

    def close(self) -> None:
        self._running.close()
        for each in fields(self.queues):
            self.channel.queue_delete(getattr(self.queues, each.name).name)
        for name in self._work:
            self.channel.queue_delete(name)
        self._connection.close()

    def _declare(self, queue: Queue) -> None:
        self.channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))

    def _only(self, queue: Queue) -> tuple[Any, BasicProperties, bytes]:
        until(lambda: self.depth(queue) == 1, seconds=10, what=f"one message in {queue.name}")
        method, properties, body = self.channel.basic_get(queue.name)
        self.channel.basic_nack(method.delivery_tag)
        return method, properties, body


def wait_until(scheduler: Scheduler, role: Role) -> None:
    until(lambda: scheduler.status.role is role, seconds=20, what=f"a scheduler that is {role}")


def wait_for_ticks(scheduler: Scheduler, count: int) -> None:
    """Wait until so many more ticks are enqueued."""
    enough = scheduler.status.enqueued + count
    until(lambda: scheduler.status.enqueued >= enough, seconds=20, what=f"{count} ticks")


def gaps(ticks: list[Tick], every_ms: int) -> tuple[int, int]:
    """How many ticks of one schedule are missing between the first and the last, and how many are there twice."""
    times = sorted({tick.time for tick in ticks})
    span = (times[-1] - times[0]) // timedelta(milliseconds=every_ms)
    return span + 1 - len(times), len(ticks) - len(times)


def now() -> datetime:
    return datetime.now(UTC)
