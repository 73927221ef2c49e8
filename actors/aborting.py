"""Aborts messages, whichever worker has them."""

from __future__ import annotations

import time
from typing import Any, TypeVar

import dramatiq

from actors.assembly import store
from middleware.guard import unguarded_scope
from middleware.keys import InvalidKey, digest
from middleware.options import InvalidPolicy
from middleware.policy import Policy
from middleware.stores import Abort, Store, StoreUnavailable

R = TypeVar("R")


class Message(dramatiq.Message[R]):
    """What ``send`` returns: a message, its result once there is one, and a way to abort it."""

    def abort(self) -> Abort:
        """End the message, whether it waits or runs; see :func:`abort`."""
        return abort(self)

    def __eq__(self, other: object) -> bool:
        """Return whether *other* is the same message, also as a worker has it."""
        return self.asdict() == other.asdict() if isinstance(other, dramatiq.Message) else NotImplemented

    __hash__ = dramatiq.Message.__hash__


def abort(message: dramatiq.Message[Any] | str) -> Abort:
    """End a message, whichever worker has it.

    One that waits does not run; one that runs is interrupted within a second or two. It is acked, and neither tried
    again nor dead-lettered; its ``on_failure`` is told, and ``get_result`` raises ``ResultAborted``. Other messages
    with its key are not concerned.

    Args:
        message: what ``send`` has returned, or its id. Of an id alone less may be known: give the message if you can.

    Returns:
        What was known of it.

    Raises:
        StoreUnavailable: the store does not answer; it may have been aborted all the same. Abort it again later.
        SettingsError: a setting is malformed.
    """
    if isinstance(message, str):
        return _abort(store(), message, [digest(each, message) for each in _scopes()])
    actor = dramatiq.get_broker().actors.get(message.actor_name)
    policy = _policy(actor, message)
    scope = policy.scope if policy is not None else str(message.options.get("scope", message.actor_name))
    key = message.options.get("idempotency_key")
    names = [digest(scope, key)] if isinstance(key, str) else []
    names += [digest(each, message.message_id) for each in (scope, unguarded_scope(scope))]
    found = _abort(store(), message.message_id, names)
    if found is Abort.UNKNOWN and policy is not None and _would_be_known(message, policy):
        return Abort.WAITING
    return found


def _abort(store: Store, message_id: str, names: list[str]) -> Abort:
    try:
        alias = store.digest_of(message_id)
        return store.abort(message_id, names if alias is None else [alias, *names])
    except StoreUnavailable as error:
        raise StoreUnavailable(f"message {message_id} may run on; abort it again later: {error}") from error


def _policy(actor: dramatiq.Actor[..., Any] | None, message: dramatiq.Message[Any]) -> Policy | None:
    policy = getattr(actor, "policy", None)
    try:
        return policy.overridden_by(message.options) if isinstance(policy, Policy) else None
    except (InvalidKey, InvalidPolicy):
        return None  # it will not run anyway


def _would_be_known(message: dramatiq.Message[Any], policy: Policy) -> bool:
    """Return whether a record would tell of *message* if it had begun: it has its own key, and is young enough."""
    age_ms = time.time() * 1000 - message.message_timestamp
    has_own_key = policy.key is None and "idempotency_key" not in message.options
    return policy.idempotent and has_own_key and age_ms < policy.ttl_ms


def _scopes() -> list[str]:
    """Return what the key of a message that is known by its id alone may be unique in."""
    scopes: set[str] = set()
    for actor in dramatiq.get_broker().actors.values():
        policy = getattr(actor, "policy", None)
        scope = policy.scope if isinstance(policy, Policy) else actor.actor_name
        scopes |= {scope, unguarded_scope(scope)}
    return sorted(scopes)
