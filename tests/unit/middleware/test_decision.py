"""Who has a say about a failed attempt: throws, the job, its predicate, the policy; and above all the limits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NoReturn

import dramatiq
import pytest
from dramatiq.errors import RateLimitExceeded, Retry
from dramatiq.middleware import MiddlewareError, Shutdown, TimeLimitExceeded

from middleware.decision import LONGEST_MS, Decision, decide
from middleware.failure import Reason
from middleware.predicates import Answer, FailedAttempt, NoAnswer, Predicate
from middleware.retry_policy import RetryPolicy

MIN_MS, MAX_MS = 1_000, 60_000
REFUSED = Decision("predicate", reason=Reason.PREDICATE)
EXHAUSTED = Decision("max_retries", reason=Reason.EXHAUSTED)
EXPECTED = Decision("throws", reason=Reason.THROWS)


class Expected(Exception): ...


class RetryLater(Retry): ...


class ExpectedRetry(Expected, Retry): ...


class NotNow(MiddlewareError, Retry): ...


class Forgetful(Retry):
    def __init__(self) -> None: ...


def asked(predicate: Predicate, attempt: FailedAttempt) -> Answer:
    assert not hasattr(predicate, "decide")
    return predicate(attempt.retries, attempt.error)


def never(retries: int, error: BaseException) -> NoReturn:
    raise AssertionError("nobody should ask")


def unable(retries: int, error: BaseException) -> NoReturn:
    raise NoAnswer("retry_when returned 'yes'")


def decision(
    error: BaseException | None = None, *, retries: int = 0, age: timedelta = timedelta(), **options: Any
) -> Decision:
    message: dramatiq.Message[Any] = dramatiq.Message("default", "charge", (), {}, {})
    policy = RetryPolicy.of({"min_backoff": MIN_MS, "max_backoff": MAX_MS, "jitter": False, **options}, "charge")
    attempt = FailedAttempt(message, ValueError("no") if error is None else error, retries, age)
    return decide(attempt, policy, ask=asked, uniform=lambda low, high: high)


@pytest.mark.parametrize(
    ("error", "options", "expected"),
    [
        # The policy, where nobody else has a say
        (ValueError(), {}, Decision("policy", MIN_MS)),
        (RateLimitExceeded("busy"), {}, Decision("policy", MIN_MS)),
        (KeyboardInterrupt(), {}, Decision("policy", MIN_MS)),
        (ValueError(), {"retry_when": None}, Decision("policy", MIN_MS)),
        # What the actor expects comes before all others
        (Expected(), {"throws": Expected}, EXPECTED),
        (Expected(), {"throws": (KeyError, Expected)}, EXPECTED),
        (Expected(), {"throws": Expected, "retry_when": never}, EXPECTED),
        (Expected(), {"throws": Expected, "max_retries": 0, "max_age": 1}, EXPECTED),
        (ExpectedRetry(delay=5), {"throws": Expected}, EXPECTED),
        (ValueError(), {"throws": Expected}, Decision("policy", MIN_MS)),
        (ValueError(), {"throws": ()}, Decision("policy", MIN_MS)),
        # Then the job itself
        (Retry(delay=5), {}, Decision("actor", 5)),
        (Retry(delay=0), {}, Decision("actor", 0)),
        (Retry(delay=-5), {}, Decision("actor", 0)),
        (Retry(), {}, Decision("actor", MIN_MS)),
        (RetryLater(delay=5), {"retry_when": never}, Decision("actor", 5)),
        (Retry(delay=MAX_MS + 1), {}, Decision("actor", MAX_MS + 1)),
        # What stands between job and worker says nothing of the job
        (MiddlewareError(), {"retry_when": never}, Decision("policy", MIN_MS)),
        (NotNow(delay=5), {"retry_when": never}, Decision("actor", 5)),
        (Shutdown(), {"retry_when": never}, Decision("policy", MIN_MS)),
        # Then the predicate
        (ValueError(), {"retry_when": lambda *_: True}, Decision("predicate", MIN_MS)),
        (ValueError(), {"retry_when": lambda *_: False}, REFUSED),
        (ValueError(), {"retry_when": lambda *_: None}, Decision("policy", MIN_MS)),
        (ValueError(), {"retry_when": lambda *_: timedelta(milliseconds=7)}, Decision("predicate", 7)),
        (ValueError(), {"retry_when": lambda *_: timedelta(microseconds=1)}, Decision("predicate", 1)),
        (ValueError(), {"retry_when": lambda *_: timedelta(0)}, Decision("predicate", 0)),
        (ValueError(), {"retry_when": lambda *_: timedelta(seconds=-7)}, Decision("predicate", 0)),
        (ValueError(), {"retry_when": lambda *_: timedelta.max}, Decision("predicate", MAX_MS)),
        (ValueError(), {"retry_when": lambda *_: timedelta.min}, Decision("predicate", 0)),
        (TimeLimitExceeded(), {"retry_when": lambda *_: False}, REFUSED),
    ],
)
def test_the_first_who_has_a_say_decides(error: BaseException, options: dict[str, Any], expected: Decision) -> None:
    assert decision(error, **options) == expected


@pytest.mark.parametrize(
    ("delay", "ms"),
    [
        (timedelta(seconds=5), 5_000),
        (timedelta(microseconds=1), 1),
        (timedelta.min, 0),
        (timedelta.max, LONGEST_MS),
        (1.2, 2),
        (-0.5, 0),
        (float("inf"), LONGEST_MS),
        (float("-inf"), 0),
        (10**400, LONGEST_MS),
        # What is no delay is as good as none
        (float("nan"), MIN_MS),
        ("5", MIN_MS),
        ([5], MIN_MS),
    ],
)
def test_a_job_asks_for_a_delay_of_any_kind_and_what_is_none_does_not_lose_the_retry(delay: Any, ms: int) -> None:
    assert decision(Retry(delay=delay)) == Decision("actor", ms)
    assert isinstance(decision(Retry(delay=delay)).delay_ms, int)


def test_a_retry_that_has_forgotten_its_delay_asks_for_none() -> None:
    assert decision(Forgetful()) == Decision("actor", MIN_MS)


@pytest.mark.parametrize("error", [ValueError(), Retry(), Retry(delay=1), MiddlewareError(), NotNow(), Shutdown()])
@pytest.mark.parametrize("answer", [True, None, timedelta(milliseconds=1)])
def test_the_limit_of_retries_holds_against_everybody(error: BaseException, answer: Answer) -> None:
    def allowed(retries: int, **options: Any) -> bool:
        return decision(error, retries=retries, retry_when=lambda *_: answer, **options) != EXHAUSTED

    assert [allowed(retries, max_retries=2) for retries in (0, 1, 2, 3, 10)] == [True, True, False, False, False]
    assert allowed(0, max_retries=0) is False
    assert [allowed(retries) for retries in (4, 5)] == [True, False]
    assert allowed(10**9, max_retries=None) is True


@pytest.mark.parametrize(
    ("age_ms", "delay_ms", "expected"),
    [
        (0, 9_999, Decision("actor", 9_999)),
        (9_998, 1, Decision("actor", 1)),
        (0, 10_000, None),
        (9_999, 1, None),
        (20_000, 0, None),
    ],
)
def test_no_attempt_begins_at_or_beyond_the_limit_of_age(age_ms: int, delay_ms: int, expected: Decision | None) -> None:
    made = decision(Retry(delay=delay_ms), age=timedelta(milliseconds=age_ms), max_age=10_000)

    why = f"the next attempt, in {delay_ms:,} ms, would be beyond max_age=10,000 ms"
    assert made == (expected or Decision("max_age", reason=Reason.EXPIRED, why=why))


@pytest.mark.parametrize("answer", [True, None, timedelta(seconds=10)])
def test_the_limit_of_age_holds_against_a_predicate(answer: Answer) -> None:
    made = decision(
        retry_when=lambda *_: answer, age=timedelta(seconds=9, microseconds=1), max_age=timedelta(seconds=10)
    )

    assert (made.by, made.reason, made.delay_ms) == ("max_age", Reason.EXPIRED, None)


def test_who_has_failed_often_enough_is_exhausted_however_old() -> None:
    assert decision(retries=5, age=timedelta(days=1), max_age=1) == EXHAUSTED


def test_a_refusal_is_a_refusal_at_every_limit() -> None:
    assert decision(retries=5, age=timedelta(days=1), max_age=1, retry_when=lambda *_: False) == REFUSED


def test_a_predicate_that_can_not_be_asked_ends_the_message_and_says_why() -> None:
    assert decision(retry_when=unable) == Decision(
        "predicate", reason=Reason.PREDICATE, why="retry_when returned 'yes'"
    )


def test_a_predicate_is_asked_with_the_number_of_retries_and_the_error() -> None:
    seen: list[tuple[int, BaseException]] = []
    error = ValueError("no")

    decision(error, retries=3, retry_when=lambda retries, error: seen.append((retries, error)))

    assert seen == [(3, error)]


def test_the_pause_of_the_policy_grows_whoever_wants_the_retry() -> None:
    assert decision(retries=3).delay_ms == 8 * MIN_MS
    assert decision(Retry(), retries=3).delay_ms == 8 * MIN_MS
    assert decision(retries=3, retry_when=lambda *_: True).delay_ms == 8 * MIN_MS
    assert decision(retries=4, jitter=True).delay_ms == 2 * 16 * MIN_MS
