"""What can be seen of a worker from beside its threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import dramatiq
from dramatiq.common import q_name

_MIB = 1024 * 1024
_STATM = Path("/proc/self/statm")


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


def memory_mib() -> float | None:
    """Return how much memory this process has, in MiB; None where the system does not tell it."""
    try:
        resident = int(_STATM.read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return round(resident * os.sysconf("SC_PAGESIZE") / _MIB, 1)


def _consumers(worker: dramatiq.Worker) -> Iterator[tuple[str, object]]:
    """Yield the consumers that there are at this moment, and of which queue each is."""
    for queue, thread in list(worker.consumers.items()):
        consumer = getattr(thread, "consumer", None)
        if consumer is not None:
            yield queue, consumer
