"""Tries failed messages again, for as long as their policy says."""

from __future__ import annotations

import logging
import random
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware

from middleware import trail
from middleware.age_limit import age_of
from middleware.callbacks import tell
from middleware.decision import Decision, decide
from middleware.failure import Failure, Reason, failure_of, give_up
from middleware.guard import TryLater
from middleware.guarded import concludes
from middleware.options import InvalidPolicy
from middleware.per_actor import PerActor
from middleware.predicates import Answer, FailedAttempt, Predicate, ask
from middleware.retry_policy import OVERRIDES, RetryDefaults, RetryPolicy

log = logging.getLogger(__name__)

# How much of a traceback travels with a message: the frames nearest to the error, and so many characters.
FRAMES = 30
LONGEST_TRACEBACK = 8_000

_uniform = random.SystemRandom().uniform


class Retries(Middleware):
    """Enqueues a failed message again, after a pause, or marks it as failed for good; in place of Dramatiq's.

    It stands after all middleware that acts on the end of a message, so that its after-hook runs before theirs.

    Args:
        defaults: called for what holds for actors that do not say otherwise.
        ask: asks a predicate.
    """

    def __init__(
        self,
        *,
        defaults: Callable[[], RetryDefaults] = RetryDefaults,
        ask: Callable[[Predicate, FailedAttempt], Answer] = ask,
    ) -> None:
        self._policy = PerActor(lambda actor: RetryPolicy.of(actor.options, actor.actor_name, defaults()), OVERRIDES)
        self._ask = ask

    @property
    def actor_options(self) -> set[str]:
        """The options that actors and messages have for it."""
        return {"max_retries", "min_backoff", "max_backoff", "jitter", "retry_when", "throws", "on_retry_exhausted"}

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Decide what is done about a failed attempt."""
        if exception is None or message.failed:
            return
        if isinstance(exception, TryLater):
            # It did not run, so that none of its attempts is used up.
            _enqueue(broker, message, exception.delay)
            return
        retries = message.options.get("retries", 0)
        attempt = FailedAttempt(message._message, exception, retries, timedelta(milliseconds=age_of(message)))
        decision = self._decide(broker, attempt)
        if decision.by != "throws":
            message.options["retries"] = retries + 1
        _note(message, attempt, decision)
        if decision.delay_ms is None:
            failure = Failure.of(exception, decision.reason or "")
            give_up(message, failure, traceback=_traceback(exception, decision.why))
            log.warning("message %s of %s fails for good: %s", message.message_id, message.actor_name, failure.reason)
        else:
            message.options["traceback"] = _traceback(exception)
            log.info(
                "message %s of %s is tried again in %d ms", message.message_id, message.actor_name, decision.delay_ms
            )
            _enqueue(broker, message, decision.delay_ms or None)

    def before_nack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Tell who waits for *message* to be given up by its limits or its predicate."""
        reason, failed = failure_of(message).reason, message.options.get("retries", 0)
        # What expires before its first attempt has not been retried.
        if failed and reason in (Reason.EXHAUSTED, Reason.PREDICATE, Reason.EXPIRED):
            limits = {"retries": failed - 1, "max_retries": self._policy_of(broker, message._message).max_retries}
            tell(broker, message, "on_retry_exhausted", limits)

    def _policy_of(self, broker: dramatiq.Broker, message: dramatiq.Message[Any]) -> RetryPolicy:
        return self._policy(broker.get_actor(message.actor_name), message)

    def _decide(self, broker: dramatiq.Broker, attempt: FailedAttempt) -> Decision:
        try:
            policy = self._policy_of(broker, attempt.message)
        except InvalidPolicy as error:
            return Decision("policy", reason=Reason.UNDECODABLE, why=str(error))
        return decide(attempt, policy, ask=self._ask, uniform=_uniform)


def _note(message: dramatiq.MessageProxy, attempt: FailedAttempt, decision: Decision) -> None:
    error = f"{type(attempt.error).__name__}: {attempt.error}"
    trail.note(
        message,
        {
            "attempt": attempt.retries + 1,
            "at": time.time_ns() // 1_000_000,
            "error": error[: trail.LONGEST_ERROR],
            "by": decision.by,
            "delay": decision.delay_ms,
            "reason": decision.reason,
            "why": decision.why,
        },
    )


def _traceback(error: BaseException, why: str = "") -> str:
    text = "".join(traceback.format_exception(error, limit=-FRAMES))
    # The end of it names the error.
    return f"{text[-LONGEST_TRACEBACK:]}{why}"


def _enqueue(broker: dramatiq.Broker, message: dramatiq.MessageProxy, delay_ms: int | None) -> None:
    try:
        broker.enqueue(message._message, delay=delay_ms)
    except Exception:
        # Our own brokers requeue it. On others a dead letter is better than nothing: Dramatiq would ack it.
        if not concludes(message):
            message.fail()
        raise
