"""What can be seen of a worker from beside its threads."""

from __future__ import annotations

from collections.abc import Iterator

import dramatiq
from dramatiq.common import q_name


def problem_of(worker: dramatiq.Worker) -> str:
    """Return why *worker* takes no messages; empty if it does, or where its broker does not say."""
    return next((why for _, consumer in _consumers(worker) if (why := getattr(consumer, "problem", ""))), "")


def in_hand(worker: dramatiq.Worker) -> dict[str, int]:
    """Return how many messages *worker* has taken from each queue, and not ended; of queues whose broker says so."""
    found: dict[str, int] = {}
    for queue, consumer in _consumers(worker):
        count = getattr(consumer, "in_hand", None)
        if count is not None:
            found[q_name(queue)] = found.get(q_name(queue), 0) + count
    return found


def _consumers(worker: dramatiq.Worker) -> Iterator[tuple[str, object]]:
    """Yield the consumers that there are at this moment, and of which queue each is."""
    for queue, thread in list(worker.consumers.items()):
        consumer = getattr(thread, "consumer", None)
        if consumer is not None:
            yield queue, consumer
