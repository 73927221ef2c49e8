"""Makes queues exist before they are needed."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable

from actors.brokers.admin import Admin
from actors.brokers.nodes import Nodes
from actors.brokers.topology import Queue, Topology
from actors.errors import QueueMismatch
from periodic.pace import Pace

log = logging.getLogger(__name__)

FRESH_FOR_S = 2.0


class Declarations:
    """The queues that are known to exist in RabbitMQ; those that are not yet known are declared.

    All calls may come from any thread.

    Args:
        nodes: where to connect.
        topology: names and arguments, whether what they belong to exists or not.
        known: called for the logical queues that actors use; they are declared together.
        timeout_s: seconds that a look at RabbitMQ may take.

    Raises:
        ConnectionFailed: from every method, when RabbitMQ does not answer in time.
    """

    def __init__(
        self,
        nodes: Nodes,
        topology: Topology,
        known: Callable[[], Iterable[str]],
        *,
        timeout_s: float = 10.0,
    ) -> None:
        self._nodes = nodes
        self.topology = topology
        self._known = known
        self._timeout_s = timeout_s
        self._new_lock()
        os.register_at_fork(after_in_child=self._new_lock)
        self._existing: dict[str, Queue] = {}
        self._generations: dict[str, list[Queue]] = {}
        self._generations_at = float("-inf")

    def _new_lock(self) -> None:
        self._lock = threading.Lock()

    def work(self, queue: str, *, timeout_s: float | None = None) -> Queue:
        """Return the queue to publish to for logical *queue*, once it exists.

        Raises:
            QueueMismatch: it exists with other arguments.
        """
        return self._ensure(f"work {queue}", lambda topology: topology.work(queue), timeout_s)

    def dead(self, queue: str) -> Queue:
        """Return the queue of dead letters of logical *queue*, once it exists, be it with other arguments."""
        try:
            return self._ensure(f"dead {queue}", lambda topology: topology.dead(queue), None)
        except QueueMismatch as error:
            # Plain Dramatiq's expires its dead letters. Even so it keeps them for longer than nowhere does.
            log.error("%s", error)
            return self._existing.setdefault(f"dead {queue}", self.topology.dead(queue))

    def hold(self, hold_ms: int, *, timeout_s: float | None = None) -> Queue:
        """Return the hold queue of *hold_ms* milliseconds, once it exists."""
        return self._ensure(f"hold {hold_ms}", lambda topology: topology.hold(hold_ms), timeout_s)

    def runs(self, pace: Pace) -> Queue:
        """Return the queue of records of runs, once it exists, be it with other arguments."""
        try:
            return self._ensure(f"runs {pace}", lambda topology: topology.runs(pace), None)
        except QueueMismatch as error:
            log.error("%s", error)
            return self._existing.setdefault(f"runs {pace}", self.topology.runs(pace))

    def holds(self) -> list[tuple[int, Queue]]:
        """Return all hold queues with their holds in ms, once they exist; then those left of the other queue type."""
        topology = self.topology
        with self._lock, Admin(self._nodes, timeout_s=self._timeout_s) as admin:
            for hold_ms, queue in topology.holds().items():
                admin.declare(queue)
                self._existing[f"hold {hold_ms}"] = queue
            others = topology.under_other_type().holds().items()
            left = [(hold_ms, queue) for hold_ms, queue in others if admin.depth(queue) is not None]
        return [*topology.holds().items(), *left]

    def plain_delays(self) -> list[tuple[str, Queue]]:
        """Return where plain Dramatiq keeps delayed messages, with their logical queues, as far as that exists."""
        topology = self.topology
        candidates = [(name, topology.plain_delay(name)) for name in sorted(set(self._known()))]
        if not candidates:
            return []
        with Admin(self._nodes, timeout_s=self._timeout_s) as admin:
            return [(name, queue) for name, queue in candidates if admin.depth(queue) is not None]

    def generations(self, queue: str) -> list[Queue]:
        """Return all physical queues of logical *queue* that exist, the current one first.

        One that exists with other arguments is named in the log and used as it is.
        """
        with self._lock:
            # After a reconnect all consumers of a process ask at once: one look answers them all.
            if queue not in self._generations or time.monotonic() - self._generations_at > FRESH_FOR_S:
                self._look({queue, *self._known()})
            return self._generations[queue]

    def forget(self) -> None:
        """Look again before the next use: a queue was found to be missing."""
        self._existing = {}

    def _ensure(self, key: str, choose: Callable[[Topology], Queue], timeout_s: float | None) -> Queue:
        existing = self._existing.get(key)
        if existing is not None:
            return existing
        queue = choose(self.topology)
        # Without the lock: a sender may be interrupted by its time limit, and must not take the lock with it.
        with Admin(self._nodes, timeout_s=timeout_s or self._timeout_s) as admin:
            admin.declare(queue)
        self._existing[key] = queue
        return queue

    def _look(self, names: set[str]) -> None:
        topology = self.topology
        generations: dict[str, list[Queue]] = {}
        with Admin(self._nodes, timeout_s=self._timeout_s) as admin:
            for name in sorted(names):
                for key, queue in (f"work {name}", topology.work(name)), (f"dead {name}", topology.dead(name)):
                    try:
                        admin.declare(queue)
                        self._existing[key] = queue
                    except QueueMismatch as error:
                        log.error("%s", error)
                earlier = [queue for queue in topology.earlier(name) if admin.depth(queue) is not None]
                generations[name] = [topology.work(name), *earlier]
        self._generations, self._generations_at = generations, time.monotonic()
