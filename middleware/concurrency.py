"""Lets no more attempts run at once than may, in all workers together."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware, MiddlewareError, SkipMessage

from middleware.age_limit import age_of
from middleware.concurrency_policy import OPTIONS, ConcurrencyPolicy
from middleware.failure import Failure, Reason, give_up
from middleware.guard import Guard, Postponed, arguments_of, new_token
from middleware.guarded import Guarded
from middleware.idempotency import GuardFailed
from middleware.keys import InvalidKey, digest
from middleware.options import InvalidPolicy
from middleware.per_actor import PerActor
from middleware.stores import SeatAnswer, SeatRequest, Store, StoreUnavailable

log = logging.getLogger(__name__)

# How long a message is said to have waited at most, in milliseconds: one of another producer may have no time at all.
LONGEST_AGE = 10**12


class Concurrency(Middleware):
    """Holds a seat for each attempt of an actor with ``max_concurrency``, from its start to its end.

    A message that finds no seat is delayed, as one that waits for its key, and looks again: no thread waits, and no
    other message of its queue. That costs none of its retries. The leases of seats are renewed with those of keys; the
    seats of a lost worker are free one lease later.

    It stands behind Idempotency, which delays what waits, and behind Overlap.

    Args:
        store: called for the store.
        guard: that of Idempotency.
    """

    def __init__(self, *, store: Callable[[], Store], guard: Guard) -> None:
        self._store = store
        self._guard = guard
        self._policy = PerActor(
            lambda actor: ConcurrencyPolicy.of(actor.options, actor.fn, actor.actor_name), frozenset()
        )
        self._limited: set[str] = set()

    @property
    def actor_options(self) -> set[str]:
        """The options that actors have for it."""
        return set(OPTIONS)

    def after_declare_actor(self, broker: dramatiq.Broker, actor: dramatiq.Actor[..., Any]) -> None:
        """Note whether the actor has a limit; all others are to cost nothing."""
        if "max_concurrency" in actor.options:
            self._limited.add(actor.actor_name)
        else:
            self._limited.discard(actor.actor_name)

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Let the attempt start if there is a seat for it.

        Raises:
            Postponed: there is none, and it looks again later.
            SkipMessage: its arguments do not give a key; it is marked as failed.
            GivenBack, TryLater: the worker stops while the store does not answer.
            GuardFailed: nobody knows whether there is one.
        """
        if message.actor_name not in self._limited:
            return
        actor = broker.get_actor(message.actor_name)
        try:
            self._enter(self._guard.guarded(broker, message), actor, message)
        except (InvalidKey, InvalidPolicy) as error:
            give_up(message, Failure.of(error, Reason.UNDECODABLE))
            raise SkipMessage(str(error)) from error
        except (MiddlewareError, SkipMessage):
            raise
        except Exception as error:
            raise GuardFailed(f"message {message.message_id} can't ask for a seat: {error}") from error

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Free the seat."""
        if not self._limited:
            return
        seat, since = vars(message).pop("seat", (None, 0.0))
        if seat is None:
            return
        self._guard.leases.end_seat(seat)
        try:
            self._store().leave_seat(seat, round((time.monotonic() - since) * 1000))
        except StoreUnavailable as error:
            log.warning("message %s: its seat is free only when its lease is over: %s", message.message_id, error)

    def after_skip_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Free the seat of an attempt that another middleware has skipped after all."""
        self.after_process_message(broker, message)

    def _enter(self, own: Guarded, actor: dramatiq.Actor[..., Any], message: dramatiq.MessageProxy) -> None:
        policy = self._policy(actor, message._message)
        assert policy.limit is not None  # noqa: S101
        if policy.key is None:
            name = digest("concurrency:actor", actor.actor_name)
        else:
            name = digest("concurrency:key", policy.key(*arguments_of(actor, message._message)))
        seat = SeatRequest(
            name, message.message_id, new_token(), policy.limit, own.policy.lease_ms, min(age_of(message), LONGEST_AGE)
        )
        answer = self._guard.patiently(partial(self._ask, seat, own), message)
        if answer is None:
            return
        if answer.is_taken:
            self._guard.leases.hold_seat(seat)
            vars(message)["seat"] = seat, time.monotonic()
            return
        own.postponed_ms = answer.delay_ms
        # The line of its attempt says it: one more for each look would be too many.
        self._guard.counts["later"] += 1
        raise Postponed(f"message {message.message_id} waits for a seat, behind {answer.ahead} others")

    def _ask(self, seat: SeatRequest, own: Guarded) -> SeatAnswer | None:
        """Return what the store says; None where the message runs although it says nothing."""
        try:
            return self._store().sit(seat)
        except StoreUnavailable:
            if own.policy.on_outage != "run":
                raise
            self._guard.counts["unprotected"] += 1
            log.warning("message %s runs without a seat, since the store does not answer", seat.owner)
            return None
