"""Every metric of workers and producers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Upper ends of buckets, in seconds; the last is infinity.
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, float("inf"))


@dataclass(frozen=True, eq=False)
class Metric:
    """A family of numbers; each is itself only.

    Attributes:
        name: as Prometheus has it, for a counter without its ``_total``.
        kind: what it is.
        help: what it says.
        labels: what its numbers differ by.
        unit: of its numbers; empty where they count.
        buckets: their upper ends, for a histogram.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()


ENQUEUED = Metric(
    "actors_messages_enqueued", "counter", "New messages that were sent, retries left out.", ("actor", "queue")
)
ATTEMPTS = Metric("actors_attempts", "counter", "Attempts that ended, by how they did.", ("actor", "queue", "outcome"))
WAIT = Metric(
    "actors_attempt_wait_seconds",
    "histogram",
    "For how long a message could have run before it began; delays that were asked for are left out.",
    ("actor", "queue"),
    "seconds",
    BUCKETS_S,
)
DURATION = Metric(
    "actors_attempt_duration_seconds", "histogram", "How long attempts took.", ("actor", "queue"), "seconds", BUCKETS_S
)
TIME_LIMITS = Metric(
    "actors_time_limit_exceeded", "counter", "Attempts that a time limit interrupted.", ("actor", "queue")
)
REPLAYS = Metric("actors_replays", "counter", "First attempts after a dead letter was replayed.", ("actor", "queue"))
DEAD_LETTERS = Metric("actors_dead_letters", "counter", "Messages that failed for good.", ("actor", "queue", "reason"))
IDEMPOTENCY = Metric(
    "actors_idempotency", "counter", "What the store, or its absence, made of messages with a key.", ("result",)
)

METRICS = (ENQUEUED, ATTEMPTS, WAIT, DURATION, TIME_LIMITS, REPLAYS, DEAD_LETTERS, IDEMPOTENCY)
