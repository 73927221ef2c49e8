"""A message in a queue of the stub broker: as bytes, as a test sees it, and as a worker takes it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import dramatiq

from middleware.guarded import Guarded


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """What waits in a queue; entries sort by when they are due, then by when they came.

    Attributes:
        due: when it may run, by the stub's clock.
        sequence: rises by one with every message.
        queue_name: the queue it waits in.
        body: the encoded message.
        delay: what its sender asked for; zero for none.
        eta: the real time of its send, plus *delay*.
    """

    due: datetime
    sequence: int
    queue_name: str = field(compare=False)
    body: bytes = field(compare=False)
    delay: timedelta = field(compare=False)
    eta: datetime = field(compare=False)


@dataclass(frozen=True, slots=True)
class Following:
    """What the hooks of an attempt have enqueued; it waits in *entry* until the attempt's outcome is recorded."""

    message: dramatiq.Message[Any]
    delay: int | None
    entry: Entry


class Delivery(dramatiq.MessageProxy):
    """A message that a worker has taken, and how its attempt ended.

    Attributes:
        concludes: what follows an attempt waits in *outbox* until its outcome is recorded.
        outbox: what the hooks of its attempt have enqueued.
        guarded: what the idempotency guard knows of it.
        entry: what was taken.
        redelivered: always False here.
        requeue: set when its outcome could not be made durable, as the RabbitMQ broker does.
        skipped: whether a middleware skipped it.
        result: what the actor returned.
    """

    concludes = True

    def __init__(self, entry: Entry) -> None:
        super().__init__(dramatiq.Message.decode(entry.body))
        self.entry = entry
        self.redelivered = False
        self.requeue = False
        self.outbox: list[Following] = []
        self.guarded: Guarded | None = None
        self.skipped = False
        self.result: Any = None

    @property
    def error(self) -> BaseException | None:
        """What the attempt raised."""
        return self._exception

    def clear_exception(self) -> None:
        """Keep the error, for the test to see."""


@dataclass(frozen=True, slots=True)
class EnqueuedMessage:
    """A message that waits to run, with its arguments as its actor will get them.

    Attributes:
        actor_name: the actor it is for.
        queue_name: the queue it waits in.
        args: positional arguments, restored by the actor's hints; as JSON has them where they don't fit.
        kwargs: keyword arguments, likewise.
        options: the options of this message, and what middleware noted in it.
        message_id: the same for all attempts.
        delay: how long after its send it may run; zero for at once.
        eta: the real time of its send, plus *delay*.
    """

    actor_name: str
    queue_name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    options: dict[str, Any]
    message_id: str
    delay: timedelta
    eta: datetime

    @classmethod
    def of(cls, entry: Entry, actor: dramatiq.Actor[..., Any] | None) -> EnqueuedMessage:
        """Return what *entry* holds for *actor*, which is None for one that is not declared."""
        message = dramatiq.Message.decode(entry.body)
        args, kwargs = message.args, message.kwargs
        restore = getattr(actor, "restore", None)
        if restore is not None:
            # What does not fit will be dead-lettered when it runs; a test may still look at it.
            with suppress(TypeError, ValueError):
                args, kwargs = restore(args, kwargs)
        return cls(
            actor_name=message.actor_name,
            queue_name=entry.queue_name,
            args=args,
            kwargs=kwargs,
            options=message.options,
            message_id=message.message_id,
            delay=entry.delay,
            eta=entry.eta,
        )

    def __str__(self) -> str:
        later = f", in {self.delay}" if self.delay else ""
        return f"{self.actor_name}({call_text(self.args, self.kwargs)}) on {self.queue_name!r}{later}"


def call_text(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return arguments as Python writes them between the parentheses of a call."""
    return ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())])
