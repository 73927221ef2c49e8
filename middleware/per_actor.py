"""What is worked out once for an actor, and again only for messages that have options of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, Self, TypeVar

import dramatiq


class Overridable(Protocol):
    """An actor's options, which a message can have otherwise."""

    def overridden_by(self, options: Mapping[str, Any]) -> Self:
        """Return the options of a message that has *options*."""


O = TypeVar("O", bound=Overridable)  # noqa: E741


class PerActor(Generic[O]):
    """Policies by actor; safe from any thread.

    Args:
        make: returns the policy of an actor.
        overrides: the options that a message may have otherwise.
    """

    def __init__(self, make: Callable[[dramatiq.Actor[..., Any]], O], overrides: frozenset[str]) -> None:
        self._make = make
        self._overrides = overrides
        self._known: dict[str, tuple[dramatiq.Actor[..., Any], O]] = {}

    def __call__(self, actor: dramatiq.Actor[..., Any], message: dramatiq.Message[Any]) -> O:
        """Return the policy in effect for *message*, of *actor*.

        Raises:
            InvalidPolicy, InvalidKey: an option has a value that could not work.
        """
        known, policy = self._known.get(actor.actor_name, (None, None))
        if known is not actor or policy is None:
            policy = self._make(actor)
            self._known[actor.actor_name] = (actor, policy)
        return policy if self._overrides.isdisjoint(message.options) else policy.overridden_by(message.options)
