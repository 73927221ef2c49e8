"""Every error that this package raises, under one root."""

from __future__ import annotations

from collections.abc import Sequence

from dramatiq import Message
from dramatiq.errors import BrokerError, ConnectionClosed, ConnectionFailed


class ActorsError(Exception):
    """The root of this package's errors."""


class SettingsError(ActorsError, ValueError):
    """An ``ACTORS_*`` setting is unknown or malformed."""


class DeclarationError(ActorsError, ValueError):
    """An actor is declared in a way that could not work."""


class LoadingError(ActorsError):
    """A module of actors can't be imported, or holds none."""


class ArgumentsError(ActorsError, TypeError):
    """Arguments do not fit the actor's signature or its type hints."""


class NotEncodable(ActorsError, TypeError):
    """A value can't travel as JSON."""


class MessageTooLarge(ActorsError, ValueError):
    """A message is over the size limit."""


class QueueMismatch(ActorsError, BrokerError):
    """A queue exists in RabbitMQ with other arguments than ours."""

    def __init__(self, text: str) -> None:
        super().__init__(text)  # type: ignore[no-untyped-call]


class StubError(ActorsError, AssertionError):
    """A test needs a stub broker that is not in place, or drains one that is never empty."""


class AccessRefused(ActorsError, ConnectionFailed):
    """RabbitMQ does not let its user do this."""

    def __init__(self, text: str) -> None:
        super().__init__(text)  # type: ignore[no-untyped-call]


class EnqueueError(ActorsError, ConnectionClosed):
    """RabbitMQ did not confirm one or more messages.

    Attributes:
        unconfirmed: the messages that were not confirmed, in the order they were given.
        maybe_enqueued: whether some of them may be in the queue all the same: they were written to a
            connection that ended, or fell silent, before its answer. False means that none is.
            Sending the same message again keeps its message id, by which an idempotent actor runs it once.
    """

    def __init__(self, text: str, *, unconfirmed: Sequence[Message[object]], maybe_enqueued: bool) -> None:
        super().__init__(text)  # type: ignore[no-untyped-call]
        self.unconfirmed = unconfirmed
        self.maybe_enqueued = maybe_enqueued
