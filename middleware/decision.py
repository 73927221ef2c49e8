"""What is done about an attempt that failed: the one place that weighs what has a say in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from dramatiq.errors import Retry
from dramatiq.middleware import MiddlewareError, Shutdown

from middleware.failure import Reason
from middleware.options import YEAR_MS, milliseconds
from middleware.predicates import Answer, FailedAttempt, NoAnswer, Predicate
from middleware.retry_policy import RetryPolicy

By = Literal["throws", "actor", "predicate", "policy", "max_retries", "max_age"]

# The longest delay that a job can ask for, as that of a send.
LONGEST_MS = YEAR_MS


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a message is tried again.

    Attributes:
        by: whose word it was.
        delay_ms: the pause before the next attempt, in milliseconds; None for no further attempt.
        reason: why there is none; None where there is one.
        why: the same for people, where the error does not say it.
    """

    by: By
    delay_ms: int | None = None
    reason: Reason | None = None
    why: str = ""


def decide(
    attempt: FailedAttempt,
    policy: RetryPolicy,
    *,
    ask: Callable[[Predicate, FailedAttempt], Answer],
    uniform: Callable[[float, float], float],
) -> Decision:
    """Return what is done about *attempt*.

    In this order: errors that the actor expects, the delay that the job itself asks for with ``dramatiq.errors.Retry``,
    the predicate, the policy's backoff. The limits on retries and on age hold against all of them.

    Args:
        attempt: what has failed.
        policy: the options in effect.
        ask: asks a predicate; may raise ``NoAnswer``.
        uniform: ``random.uniform``.
    """
    decision = _wish(attempt, policy, ask, uniform)
    if decision.delay_ms is None:
        return decision
    if policy.max_retries is not None and attempt.retries >= policy.max_retries:
        return Decision("max_retries", reason=Reason.EXHAUSTED)
    if policy.max_age_ms is not None and milliseconds(attempt.age) + decision.delay_ms >= policy.max_age_ms:
        why = f"the next attempt, in {decision.delay_ms:,} ms, would be beyond max_age={policy.max_age_ms:,} ms"
        return Decision("max_age", reason=Reason.EXPIRED, why=why)
    return decision


def _wish(
    attempt: FailedAttempt,
    policy: RetryPolicy,
    ask: Callable[[Predicate, FailedAttempt], Answer],
    uniform: Callable[[float, float], float],
) -> Decision:
    """Return what would be done if there were no limits."""
    error = attempt.error
    if isinstance(error, policy.throws):
        return Decision("throws", reason=Reason.THROWS)
    backoff_ms = policy.backoff_ms(attempt.retries, uniform)
    if isinstance(error, Retry):
        asked_ms = _asked_ms(getattr(error, "delay", None))
        return Decision("actor", backoff_ms if asked_ms is None else asked_ms)
    # An error of a hook, or a worker that stops, says nothing of the job, and a predicate knows nothing of it.
    if policy.retry_when is None or isinstance(error, MiddlewareError | Shutdown):
        return Decision("policy", backoff_ms)
    try:
        answer = ask(policy.retry_when, attempt)
    except NoAnswer as no_answer:
        return Decision("predicate", reason=Reason.PREDICATE, why=str(no_answer))
    if answer is False:
        return Decision("predicate", reason=Reason.PREDICATE)
    if isinstance(answer, timedelta):
        return Decision("predicate", min(max(0, milliseconds(answer)), policy.max_backoff_ms))
    return Decision("policy" if answer is None else "predicate", backoff_ms)


def _asked_ms(delay: object) -> int | None:
    """Return the delay that a job asks for, in milliseconds; None where it asks for none, or for what is no delay."""
    ms = milliseconds(delay) if isinstance(delay, timedelta) else delay
    if not isinstance(ms, int | float) or ms != ms:
        return None
    return math.ceil(max(0, min(ms, LONGEST_MS)))
