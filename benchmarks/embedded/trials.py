"""What is measured of a system."""

import time
from dataclasses import dataclass

from benchmarks.delays.lateness import percentile
from benchmarks.embedded.deployment import Deployment
from benchmarks.embedded.sending import RATE

START_S = 60.0
DRAIN_S = 300.0
# What a worker does at its start is over by then.
SETTLED_S = 2.0
IDLE_S = 6.0
WARM_S, STEADY_S = 2, 6


@dataclass(frozen=True)
class Rates:
    """Jobs that do nothing.

    Attributes:
        enqueue: jobs a second, one by one.
        enqueue_many: jobs a second, all at once; None where the system can't.
        drain: jobs a second, from the start of the first to that of the last.
        cpu_us: CPU microseconds a job of the process that ran them.
        first_s: seconds from the start of the worker's command to that of its first job.
    """

    enqueue: float
    enqueue_many: float | None
    drain: float
    cpu_us: float
    first_s: float


@dataclass(frozen=True)
class Waiting:
    """A worker that has little to do.

    Attributes:
        p50, p99: milliseconds from before a job is sent until it starts, at 50 a second.
        idle_percent: CPU of one core while there is nothing to do, all processes of the worker together.
        resident_mb: their memory.
        stop_s: seconds from SIGTERM to the end of a worker that has nothing to do.
    """

    p50: float
    p99: float
    idle_percent: float
    resident_mb: float
    stop_s: float


def rates(deployment: Deployment, messages: int) -> Rates:
    """Enqueue a fifth of *messages* one by one and the others at once, and drain them all.

    Where each costs the time of the disk, it is the fifth alone.
    """
    few = messages // 5
    count = few if deployment.system.syncs_each else messages
    enqueue = deployment.enqueue("each", few)
    rest = 0.0
    if count > few:
        how = "many" if deployment.system.has_many else "each"
        rest = deployment.enqueue(how, count - few, first=few)
    began = deployment.start(count=count)
    first = deployment.mark(1, seconds=START_S)
    last = deployment.mark(count, seconds=DRAIN_S)
    return Rates(
        enqueue=enqueue,
        enqueue_many=rest if deployment.system.has_many else None,
        drain=(count - 1) / (last.at - first.at),
        cpu_us=(last.cpu - first.cpu) / (count - 1) * 1e6,
        first_s=first.at - began,
    )


def waiting(deployment: Deployment) -> Waiting:
    """Let a worker run a job, then nothing, then some, and end it."""
    deployment.enqueue("each", 2)
    deployment.start()
    deployment.mark(1, seconds=START_S)
    time.sleep(SETTLED_S)
    idle = _idle_percent(deployment)
    count = RATE * (WARM_S + STEADY_S)
    deployment.enqueue("timed", count)
    # The first find a worker that may have gone to sleep for longer than it does at this rate.
    steady = range(RATE * WARM_S, count)
    late = sorted(each.late_ms for each in deployment.arrived(steady, seconds=START_S))
    resident = deployment.resident_mb()
    time.sleep(SETTLED_S)
    return Waiting(
        p50=percentile(late, 50),
        p99=percentile(late, 99),
        idle_percent=idle,
        resident_mb=resident,
        stop_s=deployment.stop(),
    )


def _idle_percent(deployment: Deployment) -> float:
    began, cpu = time.monotonic(), deployment.cpu_s()
    time.sleep(IDLE_S)
    return (deployment.cpu_s() - cpu) / (time.monotonic() - began) * 100
