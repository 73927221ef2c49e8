"""Schedulers that can be asked, and an operator who asks them."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from actors.brokers.admin import Admin
from actors.brokers.topology import QueueType, Topology
from actors.operating.schedulers import Schedulers
from actors.operating.view import Heard, Reply
from periodic.consumers import Destination
from periodic.desk import Address
from periodic.errors import ScheduleError
from periodic.inquiry import Inquiry
from periodic.queues import Publication
from periodic.schedule import Schedule
from periodic.scheduler import Scheduler, utc_now
from periodic.takeover import Replica
from periodic.tick import Tick
from tests.integration.periodic.site import Site


class OperatedSite(Site):
    """A site whose replicas can be asked; they have the actor ``job`` alone.

    Attributes:
        topology: names its queues.
    """

    def __init__(self, url: str, prefix: str, queue_type: QueueType) -> None:
        super().__init__(url, prefix, queue_type)
        self.topology = Topology(queue_type, prefix)
        self.address = Address(
            self.topology.schedulers,
            self.topology.connected_schedulers.name,
            lambda: self.topology.scheduler(uuid.uuid4().hex).name,
            self.topology.expiring,
        )

    def scheduler(
        self,
        *schedules: Schedule,
        name: str = "one",
        started: datetime | None = None,
        generation: int = 0,
        clock: Callable[[], datetime] = utc_now,
        publication: Callable[[Schedule, Tick], Publication] | None = None,
        url: str | None = None,
    ) -> Scheduler:
        known = {each.name: each for each in schedules}
        replica = Replica(name, started or clock(), known, generation, accept=_accept)
        return Scheduler(
            replica,
            (self._nodes if url is None else replace(self._nodes, urls=[url])).parameters("scheduler"),
            self.queues,
            publication or self.publication,
            address=self.address,
            destination=lambda schedule: Destination(schedule.queue or "default", self.work(schedule)),
            clock=clock,
        )

    def admin(self) -> Admin:
        return Admin(self._nodes, timeout_s=20)

    def tell(self, action: str, *, inquiry_id: str | None = None, timeout_s: float = 20, **fields: Any) -> Heard:
        with self.admin() as admin:
            inquiry = Inquiry(inquiry_id or uuid.uuid4().hex, action, "ann", fields)
            return Schedulers(admin, self.topology).tell(inquiry, timeout_s=timeout_s)

    def ask(self, action: str = "status", **fields: Any) -> Heard:
        with self.admin() as admin:
            return Schedulers(admin, self.topology).ask(Inquiry(uuid.uuid4().hex, action, "ann", fields))

    def order(self, action: str, **fields: Any) -> str:
        """What the leader says that it has done; it must not refuse."""
        reply = self.leaders(self.tell(action, **fields))
        assert not reply.refused, reply.refused
        assert reply.answer is not None
        return str(reply.answer["text"])

    def row(self, name: str) -> dict[str, Any]:
        """What the leader tells of a schedule."""
        reply = self.leaders(self.tell("show", schedule=name))
        assert reply.answer is not None, reply.refused
        return dict(reply.answer)

    @staticmethod
    def leaders(heard: Heard) -> Reply:
        reply = heard.leaders
        assert reply is not None, heard
        return reply


def _accept(schedule: Schedule) -> Schedule:
    if schedule.actor != "job":
        raise ScheduleError(f"no actor {schedule.actor!r}")
    return replace(schedule)
