"""What a worker process sees when it looks at itself."""

from __future__ import annotations

import dramatiq
from dramatiq.worker import ConsumerThread

from actors.brokers.watched import Watched
from actors.health.heartbeat import Consuming


def consuming(worker: dramatiq.Worker) -> tuple[Consuming, ...]:
    """Return what is known of each consumer of *worker* that is to run."""
    return tuple(_of(thread) for _, thread in sorted(worker.consumers.items()) if thread.running)


def lost_threads(worker: dramatiq.Worker) -> tuple[str, ...]:
    """Return the names of the threads of *worker* that have ended without having been told to.

    Dramatiq starts no other in their place.
    """
    workers = (f"worker thread {number}" for number, each in enumerate(worker.workers, 1) if _is_lost(each))
    consumers = (f"consumer of {name!r}" for name, each in sorted(worker.consumers.items()) if _is_lost(each))
    return (*consumers, *workers)


def begins_nothing_more(worker: dramatiq.Worker) -> bool:
    """Return whether *worker* was told to stop; it may run what it has begun for long."""
    return any(not each.running for each in list(worker.workers))


def _of(thread: ConsumerThread) -> Consuming:
    consumer = thread.consumer
    if thread.paused:
        return Consuming(thread.queue_name, "it is paused", None)
    if consumer is None:
        return Consuming(thread.queue_name, "it is starting", None)
    if not isinstance(consumer, Watched):
        return Consuming(thread.queue_name, "", None)
    if consumer.is_closed:
        return Consuming(thread.queue_name, "it failed, and starts anew; the log says why", None)
    return Consuming(thread.queue_name, consumer.problem, consumer.turned_at_s)


def _is_lost(thread: object) -> bool:
    # One that is told to stop says so before it ends.
    return bool(getattr(thread, "running", False)) and not thread.is_alive()  # type: ignore[attr-defined]
