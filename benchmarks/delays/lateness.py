"""How late delayed messages run, from when they are due to the start of their actor."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from benchmarks.delays.deployment import Deployment
from benchmarks.delays.plan import Plan
from services.errors import NotReady

# How long after the last is due a message is given up.
LOST_AFTER_S = 60.0


@dataclass(frozen=True)
class Lateness:
    """What became of a plan's messages; times are milliseconds after they were due.

    Attributes:
        earliest: the least; less than 0 for a message that ran before it was due.
        lost: messages that did not run within a minute.
        again: runs after a message's first.
        rate: how many messages were sent a second.
    """

    p50: float
    p99: float
    max: float
    earliest: float
    lost: int
    again: int
    rate: float


def measure(deployment: Deployment, plan: Plan) -> Lateness:
    """Send all of *plan*, and wait until it has arrived."""
    start = time.monotonic()
    rate = deployment.send(plan)
    deadline = start + plan.ends_s + LOST_AFTER_S
    # To read the file costs time that the worker could have had, so not before the last is due.
    time.sleep(max(0.0, start + plan.ends_s - time.monotonic()))
    while (missing := deployment.missing(plan)) and time.monotonic() < deadline:
        time.sleep(0.5)
    arrived = deployment.arrived(plan)
    if not arrived:
        raise NotReady(f"none of {plan.count} messages ran")
    late = sorted(arrival.late_ms for arrival in arrived)
    return Lateness(
        p50=percentile(late, 50),
        p99=percentile(late, 99),
        max=late[-1],
        earliest=late[0],
        lost=missing,
        again=len(arrived) - (plan.count - missing),
        rate=rate,
    )


def percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the least of *ordered* that at least *percent* of them do not exceed."""
    return ordered[ceil(len(ordered) * percent / 100) - 1]
