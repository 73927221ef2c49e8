"""The dead letters of logical queues, one physical queue after the other, each from its head."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from pika import BasicProperties
from pika.channel import Channel

from actors.brokers.admin import Admin
from actors.brokers.buried import Buried, exhume
from actors.brokers.looked import Looked
from actors.brokers.nodes import Nodes
from actors.brokers.taking import Taking
from actors.brokers.topology import Queue, Topology

# How many are taken at first where all are looked at.
FIRST = 10_000
# How long is waited for what goes back, and between two looks, in seconds.
GIVEN_BACK_WITHIN_S = 10.0
PAUSE_S = 0.01
# How long a channel is kept open after its last ack, in seconds.
ACKED_WITHIN_S = 0.5


@dataclass(frozen=True, slots=True)
class DeadQueue:
    """A queue of dead letters that exists in RabbitMQ.

    Attributes:
        queue: the logical queue.
        physical: where its dead letters are.
        count: how many are ready.
    """

    queue: str
    physical: Queue
    count: int


class DeadQueues:
    """The queues of dead letters of logical *queues*, of the present queue type and of the other.

    What is looked at is in hand until the look into its queue ends, and goes back to its place then.

    Args:
        nodes: where to connect.
        topology: names the queues.
        queues: logical queues.
        timeout_s: how long RabbitMQ may take for each answer, in seconds.

    Raises:
        ConnectionFailed: from every method, when RabbitMQ does not answer in time.
        AccessRefused: from every method, when the user has no right to the queues.
    """

    def __init__(self, nodes: Nodes, topology: Topology, queues: Collection[str], *, timeout_s: float) -> None:
        self.admin = Admin(nodes, timeout_s=timeout_s)
        self.topology = topology
        self._nodes = nodes
        self._timeout_s = timeout_s
        self._queues = sorted(set(queues))

    def __enter__(self) -> Self:
        self.admin.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.admin.__exit__(kind, error, traceback)

    def existing(self) -> list[DeadQueue]:
        """Return all that exist, in the order in which they are looked at."""
        found = []
        for queue in self._queues:
            for topology in (self.topology.under_other_type(), self.topology):
                self.admin.restart_clock()
                depth = self.admin.depth(topology.dead(queue))
                if depth is not None:
                    found.append(DeadQueue(queue, topology.dead(queue), depth.messages))
        return found

    def waiting(self) -> int:
        """Return how many messages are ready in the work queues that these are the dead letters of."""
        self.admin.restart_clock()
        depths = [self.admin.depth(self.topology.work(queue)) for queue in self._queues]
        return sum(depth.messages for depth in depths if depth is not None)

    def look(self, see: Callable[[Buried], object], *, depth: int | None = None) -> list[Looked]:
        """Call *see* with each dead letter of all that exist, in their order; see :meth:`look_into`."""
        return [self.look_into(queue, see, depth=depth) for queue in self.existing()]

    def look_into(
        self,
        queue: DeadQueue,
        see: Callable[[Buried], object],
        *,
        first: int = FIRST,
        depth: int | None = None,
        enough: Callable[[], bool] = lambda: False,
    ) -> Looked:
        """Call *see* with each dead letter of *queue*, in their order; return how far that went.

        What comes to the queue meanwhile is not looked at.

        Args:
            queue: one that exists.
            see: called with each.
            first: how many to take before more are taken, more and more at a time.
            depth: how many to look at, at most; None for all.
            enough: asked again and again whether to stop.
        """
        seen = 0
        if queue.count and not enough():
            with self.taking(queue, see, most=depth) as taking:
                for _ in taking.sweep(first):
                    if enough():
                        break
            seen = taking.taken
        return Looked(queue.queue, queue.physical.name, seen, max(0, queue.count - seen))

    @contextmanager
    def taking(self, queue: DeadQueue, see: Callable[[Buried], object], *, most: int | None = None) -> Iterator[Taking]:
        """Take of *queue* as many as it had, or *most*, on a connection of its own; *see* is called with each."""

        def take(_: Channel, tag: int, properties: BasicProperties, body: bytes) -> None:
            letter = exhume(properties, body, queue.queue)
            see(Buried(queue.queue, queue.physical.name, letter, properties, body, partial(taking.ack, tag)))

        limit = queue.count if most is None else min(queue.count, most)
        with (
            Admin(self._nodes, timeout_s=self._timeout_s) as admin,
            Taking(admin, queue.physical, limit, take) as taking,
        ):
            yield taking
            self._give_back(queue, taking)

    def _give_back(self, queue: DeadQueue, taking: Taking) -> None:
        """Let all that is in hand go back, and wait until it has.

        A quorum queue puts it behind all others that were given back before, by an earlier look: these are taken, too,
        so that all go back together, in their order. And whoever comes while it goes back gets what is behind it first.
        """
        if taking.acked:
            taking.settle()
            if queue.physical.is_quorum:
                # RabbitMQ keeps acks of a quorum queue in its channel while others are on their way to the queue, and
                # says nothing of it; with the channel they would be lost.
                self._wait_until(lambda: False, meanwhile=taking.admin.pump, seconds=ACKED_WITHIN_S)
        self.admin.restart_clock()
        if queue.physical.is_quorum and taking.has_met_returned and (rest := self._ready(queue.physical)):
            taking.hold_rest(rest)
            self._wait_until(lambda: self._ready(queue.physical) == 0, meanwhile=taking.admin.pump)
        # Not what it had at first: RabbitMQ may have counted letters that were acked just before.
        all_back = self._ready(queue.physical) + taking.unacked
        taking.admin.abort()
        self._wait_until(lambda: self._ready(queue.physical) >= all_back)

    def _ready(self, physical: Queue) -> int:
        depth = self.admin.depth(physical)
        return depth.messages if depth is not None else 0

    def _wait_until(
        self,
        condition: Callable[[], bool],
        meanwhile: Callable[[], object] = lambda: None,
        seconds: float = GIVEN_BACK_WITHIN_S,
    ) -> None:
        # Somebody else may take what is waited for.
        give_up_at = time.monotonic() + seconds
        while not condition() and time.monotonic() < give_up_at:
            self.admin.restart_clock()
            meanwhile()
            time.sleep(PAUSE_S)
