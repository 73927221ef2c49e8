"""What is measured of a scheduler."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from benchmarks.delays.lateness import percentile
from benchmarks.periodic.arrivals import Arrival
from benchmarks.periodic.deployment import Deployment, cpu_s, resident_mb
from benchmarks.periodic.plan import Plan
from services.deadline import until

# What has fallen due during the start is out by then.
SETTLED_S = 5.0
STEADY_S = 15.0
CEILING_S = 10.0
KILLS = 4
# How long after a kill the next message may come.
SILENCE_WITHIN_S = 3.0


@dataclass(frozen=True)
class Steady:
    """A scheduler that has to enqueue so many ticks a second; times are milliseconds after a tick was due.

    Attributes:
        start_s: seconds from the start of its process until its first message came.
        rate: messages a second.
        cpu_us: CPU microseconds a message.
        resident_mb: its memory.
    """

    start_s: float
    p50: float
    p99: float
    max: float
    rate: float
    cpu_us: float
    resident_mb: float


@dataclass(frozen=True)
class Ceiling:
    """A scheduler that has to enqueue more than it can: messages a second."""

    ceiling: float


@dataclass(frozen=True)
class Failover:
    """Leaders that were killed with another standing by: milliseconds from the kill until the next message came."""

    p50: float
    max: float


def steady(deployment: Deployment, plan: Plan) -> Steady:
    began = time.time()
    process = deployment.start()
    start_s = deployment.first().at - began
    deployment.during(SETTLED_S)
    cpu = cpu_s(process)
    came = deployment.during(STEADY_S)
    late = sorted(plan.late_ms(each.number, each.at) for each in came)
    return Steady(
        start_s=start_s,
        p50=percentile(late, 50),
        p99=percentile(late, 99),
        max=late[-1],
        rate=len(came) / STEADY_S,
        cpu_us=(cpu_s(process) - cpu) / len(came) * 1e6,
        resident_mb=resident_mb(process),
    )


def ceiling(deployment: Deployment) -> Ceiling:
    deployment.start()
    deployment.first()
    deployment.during(SETTLED_S)
    return Ceiling(len(deployment.during(CEILING_S)) / CEILING_S)


def failover(deployment: Deployment) -> Failover:
    # All at the beginning: a machine that starts Python while it takes over is busy with that.
    for _ in range(KILLS + 1):
        deployment.start()
    until(
        lambda: all(deployment.says(each, "waiting for the baton") for each in deployment.processes),
        seconds=120,
        what="a leader, and others that stand by",
    )
    deployment.first()
    silences = []
    for _ in range(KILLS):
        deployment.during(SETTLED_S / 2)
        [leader] = [each for each in deployment.processes if each.poll() is None and deployment.says(each, "leads")]
        killed = deployment.kill(leader)
        silences.append(silence_ms(killed, deployment.during(SILENCE_WITHIN_S)))
    return Failover(median(silences), max(silences))


def silence_ms(killed: float, came: Sequence[Arrival]) -> float:
    """Return the longest time without a message from *killed* on, in milliseconds."""
    moments = [killed, *(each.at for each in came)]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    return max(gaps, default=SILENCE_WITHIN_S) * 1000
