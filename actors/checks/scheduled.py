"""Which schedules enqueue into which queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from actors.assembly import broker
from actors.brokers.admin import Admin
from actors.brokers.sqlite.looking import answering, has_tables
from actors.brokers.topology import Topology
from actors.errors import AccessRefused
from actors.operating.tick_records import look
from middleware.stores.sqlite import SqliteFile
from periodic.registry import schedules
from periodic.roster import Roster
from periodic.run_time import with_run_time_schedules
from periodic.schedule import Schedule
from periodic.sqlite import SqliteSchedulers
from periodic.takeover import Replica


def by_queue(roster: Roster | None) -> Mapping[str, Sequence[Schedule]]:
    """Return the schedules that the loaded actors declare, or that operators have added, by logical queue.

    Args:
        roster: has those that operators have added; None if there is none.
    """
    replica = Replica("", datetime.now(UTC), schedules(broker))
    found: dict[str, list[Schedule]] = {}
    for schedule in with_run_time_schedules(replica, roster).schedules.values():
        if schedule.queue is not None:
            found.setdefault(schedule.queue, []).append(schedule)
        elif schedule.actor in broker.actors:
            found.setdefault(broker.actors[schedule.actor].queue_name, []).append(schedule)
    return found


def roster_of_rabbitmq(admin: Admin, topology: Topology) -> Roster | None:
    """Return the roster, if there is one that this process may read, and understands."""
    try:
        held = look(admin, topology.periodic().roster, 2)
        return Roster.decode(held[-1].body) if held else None
    except (AccessRefused, ValueError):
        return None


def roster_of_file(file: SqliteFile) -> Roster | None:
    """Return the roster, if there is one that this process understands.

    Raises:
        ConnectionFailed: the file can't be used.
    """
    if not has_tables(file.path):
        return None
    with answering():
        try:
            return SqliteSchedulers(file).kept()[0]
        except ValueError:
            return None
