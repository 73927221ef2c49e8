"""What is done about a message that comes twice: an actor's idempotency options, and those of a single message."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from inspect import Signature
from typing import Any, Literal, TypedDict

from middleware.keys import KeyMaker, check_key
from middleware.options import (
    YEAR_MS,
    Check,
    InvalidPolicy,
    a_count,
    a_duration,
    a_flag,
    a_text,
    checked,
    one_of,
    refuse_timedeltas,
)

OnDuplicate = Literal["skip", "wait", "error"]
OnLost = Literal["run", "park"]
OnOutage = Literal["wait", "run"]
OnFailed = Literal["free", "hold"]

MIN_LEASE_MS = 100

DURATIONS = frozenset({"idempotency_ttl", "lease"})


class PolicyOptions(TypedDict, total=False):
    """The options that an actor may have, and each of its messages otherwise.

    Attributes:
        idempotent: whether a message that comes twice runs once; default True.
        idempotency_ttl: how long a key is remembered after its last change, in milliseconds or as a timedelta; not
            shorter than the lease; default 24 hours.
        lease: how long a silent worker keeps the keys it holds, in milliseconds or as a timedelta; from 100
            milliseconds; default 30 seconds.
        on_duplicate: while another message holds the key, ``skip`` this one, the default, let it ``wait``, or take it
            for an ``error``, which is dead-lettered.
        on_lost: ``run`` again what a lost worker may have done, the default, or ``park`` it for an operator.
        max_losses: a message that has cost so many workers is dead-lettered; default 3.
        on_outage: while the store does not answer, ``wait``, the default, or ``run`` without protection.
        on_failed: a final failure makes the key ``free`` for other messages, the default, or ``hold`` keeps it closed.
        scope: what a key is unique in; default the actor's name.
        store_results: whether what the function returns is kept; default True.
    """

    idempotent: bool
    idempotency_ttl: int | timedelta
    lease: int | timedelta
    on_duplicate: OnDuplicate
    on_lost: OnLost
    max_losses: int
    on_outage: OnOutage
    on_failed: OnFailed
    scope: str
    store_results: bool


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for actors that do not say otherwise; durations are milliseconds."""

    ttl_ms: int = 86_400_000
    lease_ms: int = 30_000
    store_results: bool = True


_DEFAULTS = Defaults()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The options in effect for one message; see :class:`PolicyOptions`.

    Attributes:
        actor_name: whose message it is.
        signature: of the actor's function; what fingerprints are taken by.
        key: makes the key; None where the message id is the key. A key of the message's own is in its options.

    Raises:
        InvalidPolicy: the record would be forgotten before its lease is over.
    """

    actor_name: str
    signature: Signature
    scope: str
    ttl_ms: int
    lease_ms: int
    idempotent: bool = True
    key: KeyMaker | None = None
    on_duplicate: OnDuplicate = "skip"
    on_lost: OnLost = "run"
    max_losses: int = 3
    on_outage: OnOutage = "wait"
    on_failed: OnFailed = "free"
    store_results: bool = True

    def __post_init__(self) -> None:
        if self.ttl_ms < self.lease_ms:
            raise InvalidPolicy(
                f"actor {self.actor_name!r}: idempotency_ttl={self.ttl_ms:,} ms is shorter than "
                f"lease={self.lease_ms:,} ms; the record would be forgotten while its work runs"
            )

    @classmethod
    def of(
        cls,
        options: Mapping[str, Any],
        fn: Callable[..., object],
        actor_name: str,
        defaults: Defaults = _DEFAULTS,
    ) -> Policy:
        """Return the policy of an actor that has *options*; those that are not of idempotency are ignored.

        Raises:
            InvalidPolicy: the value of one could not work.
            InvalidKey: ``idempotency_key`` does not fit the function.
        """
        values: dict[str, Any] = {"scope": actor_name, **asdict(defaults), **checked(options, _CHECKS, actor_name)}
        if "idempotency_key" in options:
            _refuse_unguarded_key(options, actor_name)
            values["key"] = KeyMaker(options["idempotency_key"], fn, actor_name)
        return cls(actor_name=actor_name, signature=inspect.signature(fn), **values)

    def overridden_by(self, options: Mapping[str, Any]) -> Policy:
        """Return the policy of a message that has *options*; durations there are int milliseconds.

        A message with a key of its own is guarded even where its actor is not.

        Raises:
            InvalidPolicy: the value of one could not work.
            InvalidKey: ``idempotency_key`` can't be a key.
        """
        refuse_timedeltas(options, DURATIONS, self.actor_name)
        values = checked(options, _CHECKS, self.actor_name)
        if "idempotency_key" in options:
            check_key(options["idempotency_key"], f"actor {self.actor_name!r}: idempotency_key of a message")
            _refuse_unguarded_key(options, self.actor_name)
            if not self.idempotent:
                values["idempotent"] = True
        elif values.get("idempotent") is False:
            values["key"] = None
        return replace(self, **values) if values else self


def _refuse_unguarded_key(options: Mapping[str, Any], actor_name: str) -> None:
    if options.get("idempotent") is False:
        raise InvalidPolicy(
            f"actor {actor_name!r}: idempotency_key has no effect with idempotent=False; remove one of them"
        )


# By option: the field of Policy, and what makes its value.
_CHECKS: dict[str, tuple[str, Check]] = {
    "idempotent": ("idempotent", a_flag),
    "idempotency_ttl": ("ttl_ms", a_duration(1, 10 * YEAR_MS)),
    "lease": ("lease_ms", a_duration(MIN_LEASE_MS, 10 * YEAR_MS)),
    "on_duplicate": ("on_duplicate", one_of(OnDuplicate)),
    "on_lost": ("on_lost", one_of(OnLost)),
    "max_losses": ("max_losses", a_count(1)),
    "on_outage": ("on_outage", one_of(OnOutage)),
    "on_failed": ("on_failed", one_of(OnFailed)),
    "scope": ("scope", a_text),
    "store_results": ("store_results", a_flag),
}

# Those that no middleware of Dramatiq's declares.
OPTIONS: frozenset[str] = frozenset({"idempotency_key", *_CHECKS}) - {"store_results"}
