"""A look at the first messages of a hold queue, that leaves them where they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from actors.brokers.admin import Admin
from actors.brokers.hold import Held
from actors.brokers.taking import DEEPEST, Taking
from periodic.queues import Queue as AnyQueue

__all__ = ["DEEPEST", "Peek"]


class Peek(Taking):
    """Takes the messages that are ready in a hold queue, and gives them back when it ends, in their order.

    Args:
        admin: its connection.
        queue: the queue; nothing is seen of one that does not exist.
        limit: how many messages are taken at most, up to ``DEEPEST``.
        see: called with each; it may be acked then, or until the end.
    """

    def __init__(self, admin: Admin, queue: AnyQueue, limit: int, see: Callable[[Held], None]) -> None:
        super().__init__(
            admin,
            queue,
            limit,
            lambda channel, tag, properties, body: see(Held(channel, tag, queue.name, properties, body)),
        )
        self._limit = limit

    def __enter__(self) -> Self:
        super().__enter__()
        for _ in self.sweep(self._limit):
            pass
        return self
