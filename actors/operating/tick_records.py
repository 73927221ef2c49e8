"""Records of what became of ticks, as bounded queues keep them: they are looked at, and stay there."""

from __future__ import annotations

import time
from collections.abc import Sequence

from actors.brokers.admin import Admin
from actors.brokers.hold import Held
from actors.brokers.peek import Peek
from actors.brokers.topology import MOST_RUNS, Topology
from middleware import TickRun
from periodic.missed import MOST_MISSED, Missed
from periodic.pace import Pace
from periodic.queues import Queue

# Somebody else who looks into a queue has all of it in hand for a moment, in seconds.
_LOOK_AGAIN_AFTER_S = 0.3


class TickRecords:
    """The newest records that there are.

    Args:
        admin: its connection.
        topology: names the queues.

    Raises:
        ConnectionFailed: from every method, when RabbitMQ does not answer in time.
        AccessRefused: from every method, when the user has no right to read the queues.
    """

    def __init__(self, admin: Admin, topology: Topology) -> None:
        self._admin = admin
        self._topology = topology

    def runs(self, names: set[str]) -> list[TickRun]:
        """Return the runs of schedules with *names*."""
        queues = [self._topology.runs(pace) for pace in Pace]
        found = []
        for held in _look_into(self._admin, queues, MOST_RUNS):
            try:
                run = TickRun.decode(held.body)
            except ValueError:
                continue
            if run.schedule in names:
                found.append(run)
        return found

    def missed(self, names: set[str]) -> list[Missed]:
        """Return the records of missed ticks of schedules with *names*."""
        found = []
        for held in _look_into(self._admin, [self._topology.periodic().missed], MOST_MISSED):
            try:
                missed = Missed.decode(held.body)
            except ValueError:
                continue
            if missed.schedule in names:
                found.append(missed)
        return found


def look(admin: Admin, queue: Queue, limit: int) -> list[Held]:
    """Return the messages of *queue*, oldest first; they stay there."""
    admin.restart_clock()
    depth = admin.depth(queue)
    seen: list[Held] = []
    if depth is not None and depth.messages:
        with Peek(admin, queue, limit, seen.append):
            pass
    return seen


def _look_into(admin: Admin, queues: Sequence[Queue], limit: int) -> list[Held]:
    found = [held for queue in queues for held in look(admin, queue, limit)]
    if not found:
        again = time.monotonic() + _LOOK_AGAIN_AFTER_S
        admin.restart_clock()
        admin.pump_until(lambda: time.monotonic() >= again)
        found = [held for queue in queues for held in look(admin, queue, limit)]
    return found
