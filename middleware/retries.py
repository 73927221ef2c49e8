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
from dramatiq.errors import BrokerConnectionError
from dramatiq.middleware import Interrupt, Middleware, SkipMessage

from middleware import trail
from middleware.aborted import Aborted, note_aborted
from middleware.age_limit import age_of, note_due
from middleware.callbacks import tell
from middleware.decision import Decision, decide
from middleware.failure import LONGEST, Failure, Reason, failure_of, give_up, text_of
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

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Skip a message whose own ``throws`` is no error: Dramatiq's worker thread would end on it, and lose it.

        Raises:
            SkipMessage: it is marked as failed.
        """
        if "throws" in message.options:
            try:
                self._policy_of(broker, message._message)
            except InvalidPolicy as error:
                give_up(message, Failure.of(error, Reason.UNDECODABLE))
                raise SkipMessage(str(error)) from None

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
        if isinstance(exception, Aborted):
            note_aborted(message)
            return
        try:
            self._follow(broker, message, exception)
        except BaseException as error:
            # Whatever it is, the message must not be acked, as Dramatiq would. Our own brokers can take it back; on
            # others a dead letter is better than nothing.
            if concludes(message) and isinstance(error, BrokerConnectionError | Interrupt):
                message.requeue = True  # type: ignore[attr-defined]
            else:
                message.fail()
            raise

    def _follow(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, exception: BaseException) -> None:
        if isinstance(exception, TryLater):
            # It did not run, so that none of its attempts is used up.
            _enqueue(broker, message, exception.delay)
            return
        retries = trail.retries_of(message)
        attempt = FailedAttempt(message._message, exception, retries, timedelta(milliseconds=age_of(message)))
        decision = self._decide(broker, attempt)
        message.options["retries"] = retries if decision.by == "throws" else retries + 1
        _note(message, attempt, decision)
        if decision.delay_ms is None:
            failure = Failure.of(exception, decision.reason or "")
            give_up(message, failure, traceback=_traceback(exception, decision.why))
        else:
            message.options["traceback"] = _traceback(exception)
            log.info(
                "message %s of %s is tried again in %d ms", message.message_id, message.actor_name, decision.delay_ms
            )
            _enqueue(broker, message, decision.delay_ms or None)

    def before_nack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Tell who waits for *message* to be given up by its limits or its predicate."""
        reason, failed = failure_of(message).reason, trail.retries_of(message)
        # What expires before its first attempt has not been retried.
        if failed and reason in (Reason.EXHAUSTED, Reason.PREDICATE, Reason.EXPIRED):
            try:
                most = self._policy_of(broker, message._message).max_retries
            except InvalidPolicy:
                most = None  # it has not come to matter
            tell(broker, message, "on_retry_exhausted", {"retries": failed - 1, "max_retries": most})

    def _policy_of(self, broker: dramatiq.Broker, message: dramatiq.Message[Any]) -> RetryPolicy:
        return self._policy(broker.get_actor(message.actor_name), message)

    def _decide(self, broker: dramatiq.Broker, attempt: FailedAttempt) -> Decision:
        try:
            policy = self._policy_of(broker, attempt.message)
        except InvalidPolicy as error:
            return Decision("policy", reason=Reason.UNDECODABLE, why=str(error))
        return decide(attempt, policy, ask=self._ask, uniform=_uniform)


def _note(message: dramatiq.MessageProxy, attempt: FailedAttempt, decision: Decision) -> None:
    error = f"{type(attempt.error).__name__}: {text_of(attempt.error)}"
    trail.note(
        message,
        {
            "attempt": attempt.retries + 1,
            "at": time.time_ns() // 1_000_000,
            "error": error[: trail.LONGEST_ERROR],
            "by": decision.by,
            "delay": decision.delay_ms,
            "reason": decision.reason,
            "why": text_of(decision.why),
        },
    )


def _traceback(error: BaseException, why: str = "") -> str:
    try:
        lines = traceback.format_exception(error, limit=-FRAMES)
    except Exception:
        # It reads attributes of the error, which are code of others.
        lines = [f"{type(error).__name__}: {text_of(error)}\n"]
    # The end of it names the error, whose text may be longer than all frames together.
    text = "".join(line if len(line) <= LONGEST else f"{line[:LONGEST]}…\n" for line in lines)
    return text_of(text[-LONGEST_TRACEBACK:] + why, LONGEST_TRACEBACK + LONGEST)


def _enqueue(broker: dramatiq.Broker, message: dramatiq.MessageProxy, delay_ms: int | None) -> None:
    # A deferral or a retry is no new beginning.
    note_due(message)
    try:
        broker.enqueue(message._message, delay=delay_ms)
    except (TypeError, ValueError) as error:
        # It is no JSON, or too large, and will be at the next attempt.
        log.warning("message %s of %s can't be tried again: %s", message.message_id, message.actor_name, error)
        give_up(message, Failure.of(error, Reason.TOO_LARGE))
