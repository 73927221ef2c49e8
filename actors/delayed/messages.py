"""The delayed messages of an environment, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actors.brokers.broker import Broker
from actors.brokers.engine import Engine
from actors.brokers.inquiry import Found
from actors.delayed.keys import free
from actors.delayed.page import Dealt, Page
from actors.delayed.waiting import Waiting, waiting_of
from middleware.stores import Store

# How many messages of each hold queue are looked at unless told otherwise.
DEPTH = 1_000


class DelayedMessages:
    """The delayed messages of one environment, whichever engine keeps them.

    Args:
        broker: where they are.
        store: called for the store of their keys.
        depth: how many messages of each of RabbitMQ's hold queues are looked at, soonest due first; in a file all are.
        timeout_s: how long RabbitMQ may take for each hold queue, in seconds; a file has a timeout of its own.

    Raises:
        ConnectionFailed: from every method, when RabbitMQ does not answer in time, or the file can't be used.
        AccessRefused: from every method, when RabbitMQ's user has no right to it.
    """

    def __init__(
        self, broker: Broker[Engine], store: Callable[[], Store], *, depth: int = DEPTH, timeout_s: float = 10.0
    ) -> None:
        self._broker = broker
        self._store = store
        self._depth = depth
        self._timeout_s = timeout_s

    def look(self, *, queue: str | None = None, actor: str | None = None, limit: int = 100, after: str = "") -> Page:
        """Return a page of them, soonest due first; nothing changes.

        Args:
            queue: only those for this logical queue.
            actor: only those for this actor.
            limit: how many to return at most.
            after: where an earlier page said to go on.

        Raises:
            ValueError: *after* is no such place.
        """
        return self._waiting.look(queue=queue, actor=actor, limit=limit, after=after)

    def cancel(self, ids: Sequence[str], note: Callable[[Found], None] = lambda found: None) -> Dealt:
        """Drop the messages with *ids*; call *note* with each as soon as it is gone."""
        return self._waiting.cancel(ids, note)

    def run_now(self, ids: Sequence[str], note: Callable[[Found], None] = lambda found: None) -> Dealt:
        """Put the messages with *ids* into their work queues; call *note* with each as soon as it is there.

        A process that dies in the middle loses none. On RabbitMQ it doubles a message, under the same message id.
        """
        waiting = self._waiting
        for message in waiting.find(ids):
            free(self._broker, self._store, message)
        return waiting.run_now(ids, note)

    @property
    def _waiting(self) -> Waiting:
        return waiting_of(self._broker.engine, depth=self._depth, timeout_s=self._timeout_s)
