"""What keeps messages: RabbitMQ, or a file of this machine's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import dramatiq

from actors.brokers.dispatch import Dispatch
from actors.brokers.outgoing import Following, Outgoing


class Engine(Protocol):
    """Where a :class:`~actors.brokers.broker.Broker` puts messages, and whence its workers take them.

    It is made at the first use of its broker. Every method may be called from any thread.
    """

    @property
    def where(self) -> str:
        """What it works with, for people; without passwords."""

    @property
    def max_message_bytes(self) -> int:
        """How large an encoded message may be."""

    def ensure(self, queue_name: str) -> None:
        """Make the logical queue *queue_name* exist.

        Raises:
            ConnectionFailed, QueueMismatch, AccessRefused: it can't be made.
        """

    def send(self, outgoing: list[Outgoing]) -> None:
        """Return once all of *outgoing* are durable.

        Raises:
            EnqueueError: some are not, and are named; whether they may be in their queue all the same is said.
            QueueMismatch, AccessRefused: trying again would not help.
        """

    def following(self, outgoing: Outgoing) -> Following:
        """Return what sends *outgoing* when the outcome of an attempt is recorded.

        Raises:
            BrokerConnectionError: its queue can't be made to exist just now.
            NotEncodable: it can't be sent at all.
        """

    def run_record(self, pace: str, record: bytes) -> Following | None:
        """Return what keeps the *record* of a run of a tick; None where none can be kept, which is logged."""

    def consume(self, broker: Dispatch, queue_name: str, *, idle_ms: int) -> dramatiq.Consumer:
        """Return a consumer of logical queue *queue_name* that waits *idle_ms* at most before it yields None."""

    def start_work(self) -> None:
        """Start what works beside the threads of a worker."""

    def stop_work(self) -> None:
        """End it."""

    def counts(self, queue_name: str) -> tuple[int, int, int]:
        """Return how many messages of *queue_name* are ready, delayed as far as the queue knows, and dead."""

    def purge(self, queue_names: Sequence[str]) -> None:
        """Drop all messages of *queue_names*, their dead letters included."""

    def close(self) -> None:
        """Wait for what is not durable yet, and let go of everything; a later use takes it up again."""
