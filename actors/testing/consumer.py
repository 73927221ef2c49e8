"""Takes messages from a queue of the stub broker, for a worker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import dramatiq

from actors.testing.messages import Delivery, Entry

if TYPE_CHECKING:
    from actors.testing.stub import StubBroker


class StubConsumer(dramatiq.Consumer):
    """Yields the messages of one queue that are due by the broker's clock, or None while there are none.

    Args:
        broker: the broker.
        queue_name: the queue.
        idle_ms: the longest that one step of the iteration waits, in milliseconds.
    """

    def __init__(self, broker: StubBroker, queue_name: str, *, idle_ms: int) -> None:
        self._broker = broker
        self._queue_name = queue_name
        self._idle_s = idle_ms / 1000

    def __next__(self) -> Delivery | None:
        with self._broker.changed:
            self._broker.changed.wait_for(lambda: self._first_due() is not None, self._idle_s)
            entry = self._first_due()
            return None if entry is None else self._broker.take(entry)

    def ack(self, message: dramatiq.MessageProxy) -> None:
        """Note that the attempt of *message* has ended: done, failed, or to be run again."""
        assert isinstance(message, Delivery)  # noqa: S101
        self._broker.conclude(message)

    # What has failed says so itself.
    nack = ack

    def requeue(self, messages: Iterable[dramatiq.MessageProxy]) -> None:
        """Put *messages* back, which a worker that stops has not begun."""
        for message in messages:
            assert isinstance(message, Delivery)  # noqa: S101
            self._broker.settle(message, requeue=True)

    def _first_due(self) -> Entry | None:
        now = self._broker.clock.now()
        return next((entry for entry in self._broker.waiting([self._queue_name]) if entry.due <= now), None)
