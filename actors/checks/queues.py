"""The queues as RabbitMQ has them, seen without touching them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dramatiq

from actors.brokers.admin import Admin, Depth
from actors.brokers.topology import Queue, Topology

Role = Literal["work", "earlier", "plain-delay", "dead"]


@dataclass(frozen=True, slots=True)
class PhysicalQueue:
    """A queue in RabbitMQ.

    Attributes:
        queue: its name, and the arguments that we would declare it with.
        role: ``work`` is what producers publish to, ``earlier`` another generation of it, ``plain-delay`` where
            plain Dramatiq kept delayed messages, ``dead`` where dead letters wait.
        depth: None if it does not exist.
    """

    queue: Queue
    role: Role
    depth: Depth | None

    @property
    def ready(self) -> int:
        """How many messages wait in it."""
        return self.depth.messages if self.depth is not None else 0

    @property
    def consumers(self) -> int:
        """How many consumers it has."""
        return self.depth.consumers if self.depth is not None else 0

    @property
    def unused(self) -> bool:
        """Whether it exists for nothing: no message, and no consumer. One for dead letters is never unused."""
        return self.depth is not None and self.role != "dead" and not self.ready and not self.consumers


@dataclass(frozen=True, slots=True)
class LogicalQueue:
    """A queue as actors name it.

    Attributes:
        name: without prefix, type or priorities.
        actors: the loaded actors whose messages go there; empty if none does any more.
        physical: its queue for work, whether that exists or not, and all others that exist.
    """

    name: str
    actors: Sequence[str]
    physical: Sequence[PhysicalQueue]

    @property
    def ready(self) -> int:
        """How many messages wait in all its generations."""
        return sum(each.ready for each in self._living)

    @property
    def consumers(self) -> int:
        """How many consumers all its generations have."""
        return sum(each.consumers for each in self._living)

    @property
    def dead(self) -> int:
        """How many dead letters wait for a human."""
        return sum(each.ready for each in self.physical if each.role == "dead")

    @property
    def unused(self) -> bool:
        """Whether all that exists of it is unused."""
        existing = [each for each in self._living if each.depth is not None]
        return bool(existing) and all(each.unused for each in existing)

    @property
    def _living(self) -> list[PhysicalQueue]:
        return [each for each in self.physical if each.role != "dead"]


def users_of_queues(actors: Iterable[dramatiq.Actor[..., Any]], routes: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names of the actors that use each logical queue.

    A queue that is only named, by a declaration that a route overrules or by a route that takes no actor, has none.
    """
    users: dict[str, list[str]] = {}
    for actor in actors:
        users.setdefault(actor.queue_name, []).append(actor.actor_name)
    for actor in actors:
        users.setdefault(getattr(actor, "declared_queue", actor.queue_name), [])
        for queue in getattr(actor, "further_queues", ()):
            if actor.actor_name not in users.setdefault(queue, []):
                users[queue].append(actor.actor_name)
    for queue in routes.values():
        users.setdefault(queue, [])
    return users


def look_at_queues(admin: Admin, topology: Topology, users: Mapping[str, Sequence[str]]) -> list[LogicalQueue]:
    """Return all logical queues of *users*, except those that nobody uses and of which nothing exists.

    Raises:
        ConnectionFailed: RabbitMQ did not answer in time.
    """
    queues = [LogicalQueue(name, users[name], _physical(admin, topology, name)) for name in sorted(users)]
    return [queue for queue in queues if queue.actors or any(each.depth is not None for each in queue.physical)]


def _physical(admin: Admin, topology: Topology, name: str) -> list[PhysicalQueue]:
    candidates: list[tuple[Queue, Role]] = [
        (topology.work(name), "work"),
        *((queue, "earlier") for queue in topology.earlier(name)),
        (topology.plain_delay(name), "plain-delay"),
        (topology.dead(name), "dead"),
        (topology.under_other_type().dead(name), "dead"),
    ]
    seen = [PhysicalQueue(queue, role, admin.depth(queue)) for queue, role in candidates]
    return [each for each in seen if each.role == "work" or each.depth is not None]
