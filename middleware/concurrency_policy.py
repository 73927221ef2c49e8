"""How many attempts may run at once: an actor's options for that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypedDict

from middleware.keys import KeyMaker
from middleware.options import Check, InvalidPolicy, a_count, checked

OPTIONS = frozenset({"max_concurrency", "concurrency_key"})


class ConcurrencyOptions(TypedDict, total=False):
    """The options that an actor may have.

    Attributes:
        max_concurrency: how many attempts may run at once, in all workers together; default any number.
        concurrency_key: what they are counted by: a format string over the arguments, such as
            ``"customer:{customer_id}"``, or a function that takes the same arguments and returns the key; actors with
            the same key share it. Default the actor.
    """

    max_concurrency: int
    concurrency_key: str | Callable[..., str]


@dataclass(frozen=True, slots=True)
class ConcurrencyPolicy:
    """The options of one actor; see :class:`ConcurrencyOptions`.

    Attributes:
        actor_name: whose they are.
        limit: how many attempts may run at once; None for any number.
        key: makes the key; None where it is the actor's name.
    """

    actor_name: str
    limit: int | None = None
    key: KeyMaker | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any], fn: Callable[..., object], actor_name: str) -> Self:
        """Return the policy of an actor that has *options*; those that are not of concurrency are ignored.

        Raises:
            InvalidPolicy: the value of one could not work.
            InvalidKey: ``concurrency_key`` does not fit the function.
        """
        limit = checked(options, _CHECKS, actor_name).get("limit")
        if "concurrency_key" not in options:
            return cls(actor_name, limit)
        if limit is None:
            raise InvalidPolicy(f"actor {actor_name!r}: concurrency_key has no effect without max_concurrency; add it")
        return cls(actor_name, limit, KeyMaker(options["concurrency_key"], fn, actor_name, option="concurrency_key"))

    def overridden_by(self, options: Mapping[str, Any]) -> Self:
        """Return itself: it holds for all messages.

        Raises:
            InvalidPolicy: a message has options of its own.
        """
        for option in OPTIONS & options.keys():
            raise InvalidPolicy(f"actor {self.actor_name!r}: {option}= is an option of the actor, not of a message")
        return self


_CHECKS: dict[str, tuple[str, Check]] = {"max_concurrency": ("limit", a_count(1))}
