"""What an enqueued message should be, and how far another one is from it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from typing import Any

import dramatiq

from actors.arguments import Parameters
from actors.encoding import dumps
from actors.errors import ArgumentsError
from actors.json_forms import Refused
from actors.testing.messages import EnqueuedMessage, call_text

# How far from the expected time an eta may be: the code under test has read the clock a little earlier or later.
TOLERANCE = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a message should be; None means anything.

    Attributes:
        actor: the actor it is for.
        call: positional and keyword arguments.
        queue: the queue it waits in.
        delay: how long after its send it may run.
        eta: when it may run, give or take a second.
    """

    actor: dramatiq.Actor[..., Any] | None
    call: tuple[tuple[Any, ...], dict[str, Any]] | None
    queue: str | None
    delay: timedelta | None
    eta: datetime | None

    @classmethod
    def of(
        cls,
        actor: dramatiq.Actor[..., Any] | None,
        args: Sequence[Any] | None,
        kwargs: Mapping[str, Any] | None,
        queue: str | None,
        delay: timedelta | int | None,
        eta: datetime | None,
    ) -> Expectation:
        """Return the expectation that a test has written down.

        Raises:
            ArgumentsError: *args* and *kwargs* do not fit the actor or come without one, or *eta* has no time zone.
        """
        call = None if args is None and kwargs is None else (tuple(args or ()), dict(kwargs or {}))
        if call is not None:
            if actor is None:
                raise ArgumentsError("args= and kwargs= are an actor's; name it")
            Parameters(actor.fn, actor.actor_name).check(*call)
        if eta is not None and eta.utcoffset() is None:
            raise ArgumentsError(f"eta={eta.isoformat()} has no time zone; use .replace(tzinfo=UTC) or a ZoneInfo")
        if isinstance(delay, int):
            delay *= MILLISECOND
        return cls(actor, call, queue, delay, eta)

    def fits(self, message: EnqueuedMessage) -> bool:
        """Return whether *message* is as expected."""
        return self._differences(message) == 0

    def distance(self, message: EnqueuedMessage) -> tuple[int, float]:
        """Return a number by which to sort messages, those closest to this expectation first."""
        return self._differences(message), -SequenceMatcher(None, str(self), str(message)).ratio()

    def _differences(self, message: EnqueuedMessage) -> int:
        another_actor = self.actor is not None and message.actor_name != self.actor.actor_name
        return sum(
            [
                another_actor,
                another_actor or not self._is_same_call(message),
                self.queue is not None and message.queue_name != self.queue,
                # A message waits for whole milliseconds, rounded up.
                self.delay is not None and not 0 * MILLISECOND <= message.delay - self.delay < MILLISECOND,
                self.eta is not None and abs(message.eta - self.eta) > TOLERANCE,
            ]
        )

    def _is_same_call(self, message: EnqueuedMessage) -> bool:
        if self.actor is None or self.call is None:
            return True
        signature = inspect.signature(self.actor.fn)
        args, kwargs = self.call
        expected = signature.bind(*args, **kwargs)
        try:
            sent = signature.bind(*message.args, **message.kwargs)
        except TypeError:
            return False
        expected.apply_defaults()
        sent.apply_defaults()
        return all(_is_same(sent.arguments[name], value) for name, value in expected.arguments.items())

    def __str__(self) -> str:
        arguments = "…" if self.call is None else call_text(*self.call)
        parts = [
            "a message" if self.actor is None else f"{self.actor.actor_name}({arguments})",
            f" on {self.queue!r}" if self.queue is not None else "",
            f", in {self.delay}" if self.delay else "",
            ", at once" if self.delay == 0 * MILLISECOND else "",
            f", at {self.eta.isoformat()}" if self.eta is not None else "",
        ]
        return "".join(parts)


def _is_same(sent: Any, expected: Any) -> bool:
    """Return whether both are equal, or would be once they have travelled: a tuple comes back as a list."""
    if sent == expected:
        return True
    try:
        return dumps(sent) == dumps(expected)
    except Refused:
        return False
