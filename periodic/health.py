"""Whether a replica lives, and whether it is ready: what probes ask, and what operators see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from periodic.status import Role, Status, Unconsumed

# For how long a scheduled queue may have no consumer, in seconds: workers are restarted, too.
UNCONSUMED_FOR_S = 60.0
# How far this machine's clock may be from RabbitMQ's.
FURTHEST_OFF = timedelta(seconds=60)

MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what it was; a stable word for scripts.
        ok: whether it is as it should be.
        reason: what was found.
        advice: what to do about it; empty where there is nothing to do.
    """

    name: str
    ok: bool
    reason: str
    advice: str = ""


def live(status: Status, now_s: float) -> list[Check]:
    """Return what says whether a replica lives; RabbitMQ has no part in it.

    Args:
        status: of the replica.
        now_s: seconds as ``time.monotonic`` counts them.
    """
    return [_loop(status, now_s)]


def ready(status: Status, now_s: float) -> list[Check]:
    """Return what says whether a replica does its part, and whether what it enqueues is taken.

    Args:
        status: of the replica.
        now_s: seconds as ``time.monotonic`` counts them.
    """
    checks = [_loop(status, now_s), _role(status)]
    # One machine has one clock, and whoever uses a file finds out at once that it can't.
    checks += [] if status.file else [_rabbitmq(status), _clock(status)]
    return [*checks, *_consumers(status, now_s)]


def _loop(status: Status, now_s: float) -> Check:
    late_s = now_s - status.overdue_at_s
    if late_s <= 0:
        return Check("loop", True, "the loop comes round")
    if status.blocked:
        return Check("loop", True, "the loop waits for RabbitMQ, which takes nothing")
    return Check(
        "loop",
        False,
        f"the loop should have come round {late_s:,.0f} s ago",
        "restart it; a trigger or a middleware of the application hangs, perhaps",
    )


def _role(status: Status) -> Check:
    match status.role:
        case Role.CONNECTING:
            why = f": {status.problem}" if status.problem else ""
            if status.file:
                return Check("role", False, f"{status.file} can't be used{why}", "mend that; it goes on by itself")
            return Check(
                "role", False, f"no connection to RabbitMQ{why}", "see that RabbitMQ runs, and its URL is right"
            )
        case Role.REFUSING:
            return Check(
                "role", False, f"it must not lead: {status.problem}", "mend that, or leave it to other replicas"
            )
        # A moment ago it has refused, and it will again.
        case Role.STANDING_BY if status.problem:
            return Check("role", False, status.problem, "mend that, or leave it to other replicas")
        case role:
            return Check("role", True, role.value)


def _rabbitmq(status: Status) -> Check:
    if not status.blocked:
        return Check("rabbitmq", True, "RabbitMQ takes what is published")
    return Check(
        "rabbitmq",
        False,
        f"RabbitMQ has blocked publishers: {status.blocked}",
        "make room on its nodes; rabbitmq-diagnostics alarms says where",
    )


def _clock(status: Status) -> Check:
    if status.skew is None:
        return Check("clock", True, "not compared with RabbitMQ's")
    where = "ahead of" if status.skew > timedelta() else "behind"
    found = f"this machine's clock is {abs(status.skew) / timedelta(seconds=1):,.1f} s {where} RabbitMQ's"
    if abs(status.skew) <= FURTHEST_OFF:
        return Check("clock", True, found)
    limit_s = FURTHEST_OFF // timedelta(seconds=1)
    advice = "synchronise the clocks of both machines; ticks are early or late by as much"
    return Check("clock", False, f"{found}, and {limit_s} s is the limit", advice)


def _consumers(status: Status, now_s: float) -> Iterator[Check]:
    """Say which scheduled queues have had no consumer for too long; the leader alone looks."""
    if status.role is not Role.LEADING:
        return
    found = [
        _unconsumed(name, each, now_s)
        for name, each in sorted(status.unconsumed.items())
        if now_s - each.since_s >= UNCONSUMED_FOR_S
    ]
    yield from found or [Check("consumers", True, "no scheduled queue has been without a consumer for long")]


def _unconsumed(name: str, found: Unconsumed, now_s: float) -> Check:
    return Check(
        "consumers",
        False,
        f"queue {name!r} has had no consumer for {now_s - found.since_s:,.0f} s; "
        f"what enqueues there: {in_short(found.schedules)}",
        f"start a worker that takes it: dramatiq actors shop.tasks -Q {found.queue}; if one runs, the start line in "
        "its log names the broker and the queue_prefix it uses",
    )


def in_short(names: tuple[str, ...]) -> str:
    """Return the first few of *names*, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
