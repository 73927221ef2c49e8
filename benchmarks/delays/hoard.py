"""What many messages that are due much later cost a worker, and a message that is due soon."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import services
from benchmarks.delays.deployment import Deployment
from benchmarks.delays.plan import Plan

DELAY_S = 600
SAMPLE_S = 0.5
# The memory is at rest once it has not moved by more than this for ten samples.
REST_MB = 0.5
REST_SAMPLES = 10
# A worker that still takes messages then would grow on, for minutes.
REST_WITHIN_S = 10

# The delay of the message that is sent after all others, and how long it is waited for once it is due.
SOON_S = 1.0
SOON_WITHIN_S = 10.0


@dataclass(frozen=True)
class Hoard:
    """What a worker made of messages that are due in ten minutes.

    Attributes:
        before_mb: its memory before they were sent.
        grew_mb: by how much more it had at most, until it was at rest or for 10 s.
        kept: how many of them were delivered to it and not acked.
        soon_late_ms: how late a message ran that was sent after them with a delay of 1 s; 10,000 if it did not.
    """

    before_mb: float
    grew_mb: float
    kept: int
    soon_late_ms: float


def measure(deployment: Deployment, count: int, server: services.RabbitMQ, prefix: str) -> Hoard:
    """Send *count* messages to be held for ten minutes, and then one for a second."""
    before_mb = deployment.resident_mb()
    samples: list[float] = []
    next_at = 0.0

    def sample() -> None:
        nonlocal next_at
        if time.monotonic() >= next_at:
            next_at = time.monotonic() + SAMPLE_S
            samples.append(deployment.resident_mb())

    deployment.send(Plan(first=0, count=count, soonest_s=DELAY_S, latest_s=DELAY_S), meanwhile=sample)
    sending, deadline = len(samples), time.monotonic() + REST_WITHIN_S
    while time.monotonic() < deadline and not _at_rest(samples[sending:]):
        sample()
        time.sleep(0.1)
    kept = unacked(server, prefix)
    return Hoard(before_mb, max(samples) - before_mb, kept, _soon(deployment, count))


def _at_rest(samples: Sequence[float]) -> bool:
    last = samples[-REST_SAMPLES:]
    return len(last) == REST_SAMPLES and max(last) - min(last) < REST_MB


def unacked(server: services.RabbitMQ, prefix: str) -> int:
    """Return how many messages of the queues that start with *prefix* are delivered and not acked."""
    rows = (line.split("\t") for line in server.ctl("list_queues", "name", "messages_unacknowledged").splitlines())
    return sum(int(count) for name, count in rows if name.startswith(prefix))


def _soon(deployment: Deployment, number: int) -> float:
    plan = Plan(first=number, count=1, soonest_s=SOON_S, latest_s=SOON_S)
    deployment.send(plan)
    deadline = time.monotonic() + SOON_S + SOON_WITHIN_S
    while deployment.missing(plan):
        if time.monotonic() > deadline:
            return SOON_WITHIN_S * 1000
        time.sleep(0.1)
    return deployment.arrived(plan)[0].late_ms
