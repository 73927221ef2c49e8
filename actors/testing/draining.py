"""Runs what is enqueued, here and now, by Dramatiq's own worker code."""

from __future__ import annotations

import contextvars
from dataclasses import dataclass
from queue import PriorityQueue
from typing import Any, Literal

from dramatiq.errors import Retry
from dramatiq.middleware import Interrupt
from dramatiq.worker import ConsumerThread, WorkerThread

from actors.errors import StubError
from actors.testing.messages import Delivery, EnqueuedMessage, Entry
from actors.testing.stub import StubBroker
from actors.testing.swap import current
from middleware.aborted import is_aborted

Outcome = Literal["done", "retried", "dead", "aborted", "skipped", "requeued"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to run a message.

    Attributes:
        message: the message, as it was before the attempt.
        outcome: ``done``; ``retried``, when it failed and was enqueued again; ``dead``, when it was dead-lettered;
            ``aborted``; ``skipped`` by a middleware; ``requeued``, when what follows it could not be enqueued.
        result: what the actor returned.
        error: what the attempt raised.
    """

    message: EnqueuedMessage
    outcome: Outcome
    result: Any = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Drained:
    """All attempts of one :func:`drain`, in order, and how many ended how."""

    attempts: tuple[Attempt, ...]

    @property
    def done(self) -> int:
        """How many succeeded."""
        return self._count("done")

    @property
    def failed(self) -> int:
        """How many failed: those retried and those dead."""
        return self._count("retried", "dead")

    @property
    def retried(self) -> int:
        """How many failed and were enqueued again."""
        return self._count("retried")

    @property
    def dead(self) -> int:
        """How many were dead-lettered; ``stub_broker.dead_letters`` holds them."""
        return self._count("dead")

    @property
    def skipped(self) -> int:
        """How many a middleware skipped without dead-lettering them."""
        return self._count("skipped")

    def _count(self, *outcomes: Outcome) -> int:
        return sum(attempt.outcome in outcomes for attempt in self.attempts)


def drain(
    *queues: str,
    until_empty: bool = True,
    with_delays: bool = False,
    retries: bool = False,
    raises: bool = True,
    limit: int = 1_000,
) -> Drained:
    """Run what is enqueued and due, one message after the other, in the calling thread.

    The order is that of their due times, then that in which they came. Each passes the hooks that it would pass in a
    worker. Nothing sleeps: a delayed message, such as a retry, runs once the stub's clock has reached its due time.

    Args:
        *queues: the queues to drain; all by default.
        until_empty: also run what the messages enqueue, as far as it is due.
        with_delays: also run what is not due yet; the clock moves on to each due time.
        retries: don't raise the error of an attempt that will be retried.
        raises: raise the error of the first attempt that fails. One that asks for a later attempt with
            ``dramatiq.errors.Retry`` has not failed. False only counts the errors.
        limit: how many attempts are enough to call it an endless loop.

    Returns:
        What became of each attempt.

    Raises:
        StubError: *limit* is reached, or no stub broker is in place.
        QueueNotFound: no actor uses one of *queues*.
        BaseException: what an actor raised, as said above; what is no ``Exception``, such as ``KeyboardInterrupt``
            or pytest's own, always.
    """
    broker = current()
    worker = _Worker(broker)
    first_entries = frozenset(broker.waiting(queues))
    attempts: list[Attempt] = []
    while True:
        entries = [entry for entry in broker.waiting(queues) if until_empty or entry in first_entries]
        entry = entries[0] if entries else None
        if entry is None or (entry.due > broker.clock.now() and not with_delays):
            return Drained(tuple(attempts))
        if len(attempts) >= limit:
            raise StubError(f"not empty after {limit:,} attempts; next is {broker.describe(entry)}")
        if entry.due > broker.clock.now():
            broker.clock.travel_to(entry.due)
        attempt = worker.run(entry)
        attempts.append(attempt)
        if _is_raised(attempt, retries=retries, raises=raises):
            raise attempt.error or StubError(f"dead-lettered without an error: {attempt.message}")


class _Worker:
    """Dramatiq's consumer and worker threads, neither of them started: their code runs in the calling thread."""

    def __init__(self, broker: StubBroker) -> None:
        self._broker = broker
        self._work: PriorityQueue[Any] = PriorityQueue()
        self._consumers: dict[str, ConsumerThread] = {}
        self._thread = WorkerThread(broker=broker, consumers=self._consumers, work_queue=self._work, worker_timeout=0)

    def run(self, entry: Entry) -> Attempt:
        """Take *entry*, and make one attempt to run it."""
        message = self._broker.describe(entry)
        delivery = self._broker.take(entry)
        # What an actor sets for its own thread must not be seen by the test.
        contextvars.copy_context().run(self._process, delivery)
        return Attempt(message, _outcome(delivery), delivery.result, delivery.error)

    def _process(self, delivery: Delivery) -> None:
        queue_name = delivery.queue_name
        if queue_name not in self._consumers:
            self._consumers[queue_name] = self._consumer(queue_name)
        # A message of an unknown actor ends here; any other comes back in the queue of work.
        self._consumers[queue_name].handle_message(delivery)
        if not self._work.empty():
            self._thread.process_message(self._work.get().message)

    def _consumer(self, queue_name: str) -> ConsumerThread:
        thread = ConsumerThread(
            broker=self._broker, queue_name=queue_name, prefetch=1, work_queue=self._work, worker_timeout=0
        )
        thread.consumer = self._broker.consume(queue_name, timeout=0)
        return thread


def _outcome(delivery: Delivery) -> Outcome:
    if delivery.failed:
        return "dead"
    if is_aborted(delivery):
        return "aborted"
    if delivery.requeue:
        return "requeued"
    if delivery.skipped:
        return "skipped"
    return "done" if delivery.error is None else "retried"


def _is_raised(attempt: Attempt, *, retries: bool, raises: bool) -> bool:
    if attempt.error is not None and not isinstance(attempt.error, Exception | Interrupt):
        return True
    if attempt.outcome == "retried":
        return raises and not retries and not isinstance(attempt.error, Retry)
    return raises and attempt.outcome == "dead"
