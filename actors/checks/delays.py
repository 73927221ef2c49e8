"""The hold queues, looked at together: there are many, and a relay makes and consumes all of them or none."""

from __future__ import annotations

from collections.abc import Iterator

from actors.brokers.admin import WAY_OUT, Admin
from actors.brokers.topology import Topology
from actors.checks.finding import Finding, count, error, ok, warning
from actors.checks.mismatch import find_mismatch

_SUBJECT = "hold queues"


def check_delays(admin: Admin, topology: Topology) -> Iterator[Finding]:
    """Say whether delayed messages are moved on when they are due."""
    looked = [(queue, admin.depth(queue)) for queue in topology.holds().values()]
    existing = [(queue, depth) for queue, depth in looked if depth is not None]
    mismatches = [mismatch for queue, _ in existing if (mismatch := find_mismatch(admin, queue))]
    yield from (error("delays", _SUBJECT, mismatch, WAY_OUT) for mismatch in mismatches)
    if stranded := sum(depth.messages for _, depth in existing if not depth.consumers):
        what = f"{count(stranded, 'delayed message')}, and no relay that moves them on when they are due"
        yield warning("delays", _SUBJECT, what, "start a worker, or actors relay")
    elif not mismatches:
        yield ok("delays", _SUBJECT, f"{len(existing)} of {len(looked)} exist, as we declare them")
    yield from _left_over(admin, topology.under_other_type())


def _left_over(admin: Admin, other: Topology) -> Iterator[Finding]:
    depths = [admin.depth(queue) for queue in other.holds().values()]
    if left := sum(depth.messages for depth in depths if depth is not None and not depth.consumers):
        what = f"{count(left, 'delayed message')} left in {other.queue_type} hold queues, and no relay that reads them"
        yield warning("delays", _SUBJECT, what, "restart a worker, or run actors relay until they are empty")
