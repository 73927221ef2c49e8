"""The attempt that runs now, as its actor sees it."""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import dramatiq

_DOWNSTREAM = uuid.UUID("7d9f3b5e-0f4c-5d39-9a55-5e1c1a3c8f10")


class NoAttempt(RuntimeError):
    """No actor runs here."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a message.

    Attributes:
        message: the message.
        number: 1 for the first attempt, one more after each that failed.
        scope: what the key is unique in; the actor's name by default.
        key: the idempotency key: the actor's own, or the message id. None where ``idempotent=False``.
        maybe_ran: whether an earlier attempt may have done the work: its worker was lost, and nobody knows how far
            it came.
        fence: rises with every claim of any key; give it to a system that can refuse a lower one. 0 where unguarded.
    """

    message: dramatiq.Message[Any]
    number: int
    scope: str
    key: str | None
    maybe_ran: bool
    fence: int

    def downstream_key(self, step: str) -> str:
        """Return an idempotency key for a remote API: the same in every attempt, another for each *step*."""
        key = self.key if self.key is not None else self.message.message_id
        return str(uuid.uuid5(_DOWNSTREAM, f"{len(self.scope)}:{self.scope}{len(key)}:{key}{step}"))


_current: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


def current() -> Attempt:
    """Return the attempt that runs here, in a plain actor or an async one.

    Raises:
        NoAttempt: called outside of an actor, or in a thread that the actor has started by itself.
    """
    attempt = _current.get()
    if attempt is None:
        raise NoAttempt("current() was called where no actor runs")
    return attempt


def attempt_here() -> Attempt | None:
    """Return the attempt that runs here; None where no actor does, or where it is not known."""
    return _current.get()


def set_current(attempt: Attempt | None) -> None:
    """Say which attempt runs in this thread from now on."""
    _current.set(attempt)
