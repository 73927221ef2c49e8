"""What an actor sends while ``actors run`` runs it: noted, and never sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dramatiq

from actors.brokers.broker import Broker

Message = dramatiq.Message[Any]


class Unsent:
    """Takes a broker's sends from it, so that trying an actor starts nothing elsewhere.

    Attributes:
        messages: what would have been sent, in order.
    """

    def __init__(self, broker: Broker[Any]) -> None:
        self.messages: list[Message] = []
        # On the broker itself: actors, groups, pipelines and enqueue_many all end in these two.
        broker.enqueue = self._note  # type: ignore[method-assign]
        broker.enqueue_many = self._note_many  # type: ignore[method-assign]

    def _note(self, message: Message, *, delay: int | None = None) -> Message:
        message.encode()  # so that what can't travel fails here as it would in a worker
        self.messages.append(message)
        return message

    def _note_many(self, messages: Iterable[Message], *, delay: int | None = None) -> list[Message]:
        return [self._note(message) for message in messages]
