"""Which schedules enqueue into which queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from actors.assembly import broker, on_rabbitmq
from actors.brokers.admin import Admin
from actors.brokers.topology import Topology
from actors.errors import AccessRefused
from actors.operating.tick_records import look
from actors.scheduling.rabbitmq import destination
from periodic.registry import schedules
from periodic.roster import Roster
from periodic.run_time import with_run_time_schedules
from periodic.schedule import Schedule
from periodic.takeover import Replica


def schedules_by_queue(admin: Admin, topology: Topology) -> Mapping[str, Sequence[Schedule]]:
    """Return the schedules that the loaded actors declare, or that operators have added, by logical queue."""
    replica = Replica("", datetime.now(UTC), schedules(broker))
    found: dict[str, list[Schedule]] = {}
    for schedule in with_run_time_schedules(replica, _roster(admin, topology)).schedules.values():
        if schedule.queue is not None or schedule.actor in broker.actors:
            found.setdefault(destination(on_rabbitmq(), schedule).name, []).append(schedule)
    return found


def _roster(admin: Admin, topology: Topology) -> Roster | None:
    """Return the roster, if there is one that this process may read, and understands."""
    try:
        held = look(admin, topology.periodic().roster, 2)
        return Roster.decode(held[-1].body) if held else None
    except (AccessRefused, ValueError):
        return None
