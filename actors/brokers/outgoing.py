"""A message on its way into a queue, whichever engine takes it there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dramatiq


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that is being sent.

    Attributes:
        message: the message.
        body: its bytes.
        delay: what was asked for, in milliseconds, or None.
        due: when it may run, in milliseconds since the Unix epoch; None for at once.
    """

    message: dramatiq.Message[Any]
    body: bytes
    delay: int | None
    due: int | None


@dataclass(frozen=True, slots=True)
class Following:
    """What is published once the outcome of an attempt is recorded.

    Attributes:
        outgoing: the message; None for what is no actor's.
        publication: how it is published; only the engine that made it looks into it.
    """

    outgoing: Outgoing | None
    publication: Any

    @property
    def message(self) -> dramatiq.Message[Any] | None:
        """The message, if it is one of an actor."""
        return None if self.outgoing is None else self.outgoing.message
