from __future__ import annotations

import functools
from datetime import timedelta
from typing import Any

import pytest
from dramatiq.middleware import MiddlewareError

from middleware.options import InvalidPolicy
from middleware.predicates import FailedAttempt, Retryable, by_type
from middleware.retry_policy import DURATIONS, OVERRIDES, RetryDefaults, RetryOptions, RetryPolicy

DAY_MS = 86_400_000
YEAR_MS = 366 * DAY_MS


def policy(defaults: RetryDefaults | None = None, **options: Any) -> RetryPolicy:
    return RetryPolicy.of(options, "charge", defaults or RetryDefaults())


def refusal(**options: Any) -> str:
    with pytest.raises(InvalidPolicy) as error:
        policy(**options)
    return str(error.value)


def values(of: RetryPolicy) -> dict[str, Any]:
    return {name: getattr(of, name) for name in RetryPolicy.__slots__}


def bounds(of: RetryPolicy) -> tuple[int, int]:
    return of.min_backoff_ms, of.max_backoff_ms


class Patient(Retryable):
    def decide(self, attempt: FailedAttempt) -> bool:
        return True


class Impatient(Retryable):
    async def decide(self, attempt: FailedAttempt) -> bool:  # type: ignore[override]
        return False


class Rule:
    def __call__(self, retries: int, error: BaseException) -> bool:
        return True


class AsyncRule:
    async def __call__(self, retries: int, error: BaseException) -> bool:
        return True


async def asynchronous(retries: int, error: BaseException) -> bool:
    return True


def test_an_actor_that_says_nothing_is_tried_six_times_with_jitter() -> None:
    assert values(RetryPolicy.of({}, "charge")) == {
        "actor_name": "charge",
        "max_retries": 5,
        "min_backoff_ms": 15_000,
        "max_backoff_ms": 7 * DAY_MS,
        "jitter": True,
        "max_age_ms": None,
        "retry_when": None,
        "throws": (),
    }


def test_an_actor_says_what_differs() -> None:
    patient = Patient()
    of_actor = policy(
        max_retries=None,
        min_backoff=timedelta(seconds=1),
        max_backoff=2_000,
        jitter=False,
        max_age=timedelta(hours=1),
        retry_when=patient,
        throws=KeyError,
        lease=5,
    )

    assert values(of_actor) == {
        "actor_name": "charge",
        "max_retries": None,
        "min_backoff_ms": 1_000,
        "max_backoff_ms": 2_000,
        "jitter": False,
        "max_age_ms": 3_600_000,
        "retry_when": patient,
        "throws": (KeyError,),
    }


def test_defaults_hold_where_an_actor_says_nothing() -> None:
    settings = RetryDefaults(max_retries=1, min_backoff_ms=2, max_backoff_ms=3)

    silent = policy(settings)

    assert (silent.max_retries, *bounds(silent)) == (1, 2, 3)
    assert policy(settings, max_retries=None).max_retries is None


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("max_retries", -1, "an int of at least 0, or None"),
        ("max_retries", "3", "an int of at least 0, or None"),
        ("max_retries", True, "an int of at least 0, or None"),
        ("max_retries", 3.0, "an int of at least 0, or None"),
        ("jitter", 1, "True or False"),
        ("jitter", None, "True or False"),
        ("min_backoff", 0, "an int of milliseconds, or a timedelta, from 1 ms to 1 year"),
        ("min_backoff", 10**30, "an int of milliseconds, or a timedelta, from 1 ms to 1 year"),
        ("min_backoff", None, "an int of milliseconds, or a timedelta, from 1 ms to 1 year"),
        ("max_backoff", YEAR_MS + 1, "an int of milliseconds, or a timedelta, from 1 ms to 1 year"),
        ("max_backoff", "1h", "an int of milliseconds, or a timedelta, from 1 ms to 1 year"),
        ("max_age", 0, "an int of milliseconds, or a timedelta, from 1 ms to 10 years, or None"),
        ("max_age", -1, "an int of milliseconds, or a timedelta, from 1 ms to 10 years, or None"),
        ("max_age", 1.5, "an int of milliseconds, or a timedelta, from 1 ms to 10 years, or None"),
    ],
)
def test_a_value_that_could_not_work_is_refused_saying_what_is_allowed(option: str, value: Any, allowed: str) -> None:
    text = f"actor 'charge': {option}={value!r} must be {allowed}"

    assert refusal(**{option: value}) == text
    with pytest.raises(InvalidPolicy) as error:
        policy().overridden_by({option: value})
    assert str(error.value) == text


@pytest.mark.parametrize("value", ["ValueError", ValueError(), int, (ValueError, "KeyError"), [ValueError], 0])
def test_what_is_thrown_must_be_errors(value: Any) -> None:
    text = f"actor 'charge': throws={value!r} must be a class of errors, or a tuple of them"

    assert refusal(throws=value) == text
    with pytest.raises(InvalidPolicy) as error:
        policy().overridden_by({"throws": value})
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("value", "throws"),
    [(KeyError, (KeyError,)), ((KeyError, SystemExit), (KeyError, SystemExit)), ((), ()), (None, ())],
)
def test_one_error_or_several_or_none_are_expected(value: Any, throws: tuple[type[BaseException], ...]) -> None:
    assert policy(throws=value).throws == throws


FUNCTION = "must be a function of retries and error, or a Retryable such as by_type(ConnectionError)"
ASYNC = "must not be async; it is called where no event loop runs"
ARGUMENTS = "must take two arguments: how many retries there were, and the error"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (True, FUNCTION),
        (ConnectionError, FUNCTION),
        (Patient, FUNCTION),
        ([Patient()], FUNCTION),
        (asynchronous, ASYNC),
        (functools.partial(asynchronous), ASYNC),
        (AsyncRule(), ASYNC),
        (Impatient(), ASYNC),
        (lambda: True, ARGUMENTS),
        (lambda error: True, ARGUMENTS),
        (lambda retries, error, message: True, ARGUMENTS),
        (lambda retries, *, error: True, ARGUMENTS),
    ],
)
def test_a_predicate_that_could_not_be_asked_is_refused(value: Any, problem: str) -> None:
    assert refusal(retry_when=value) == f"actor 'charge': retry_when={value!r} {problem}, or None"


@pytest.mark.parametrize(
    "value",
    [
        None,
        Patient(),
        by_type(KeyError),
        Rule(),
        lambda *_: True,
        lambda retries, error, patience=5: True,
        functools.partial(lambda patience, retries, error: True, 5),
        max,
    ],
)
def test_a_predicate_is_anything_that_can_be_asked(value: Any) -> None:
    assert policy(retry_when=value).retry_when is value


def test_a_bound_that_is_given_moves_the_other_which_is_not_out_of_its_way() -> None:
    assert bounds(policy(min_backoff=30 * DAY_MS)) == (30 * DAY_MS, 30 * DAY_MS)
    assert bounds(policy(max_backoff=1_000)) == (1_000, 1_000)
    assert bounds(policy(min_backoff=1_000)) == (1_000, 7 * DAY_MS)
    assert bounds(policy(max_backoff=20_000)) == (15_000, 20_000)


def test_the_bounds_of_a_message_move_those_of_its_actor() -> None:
    of_actor = policy(min_backoff=1_000, max_backoff=2_000)

    assert bounds(of_actor.overridden_by({"min_backoff": 5_000})) == (5_000, 5_000)
    assert bounds(of_actor.overridden_by({"max_backoff": 500})) == (500, 500)
    assert bounds(of_actor.overridden_by({"max_backoff": 1_500})) == (1_000, 1_500)


def test_bounds_that_exclude_each_other_are_refused() -> None:
    text = "actor 'charge': min_backoff=2,000 ms is longer than max_backoff=1,000 ms; change one of them"

    assert refusal(min_backoff=2_000, max_backoff=1_000) == text
    with pytest.raises(InvalidPolicy) as error:
        policy().overridden_by({"min_backoff": 2_000, "max_backoff": 1_000})
    assert str(error.value) == text


def test_a_message_says_what_differs_from_its_actor() -> None:
    of_actor = policy(max_age=5, retry_when=Patient(), throws=KeyError)
    own = {"max_retries": 0, "jitter": False, "max_age": None, "retries": 3, "retry_when": "x"}

    assert values(of_actor.overridden_by(own)) == {
        **values(of_actor),
        "max_retries": 0,
        "jitter": False,
        "max_age_ms": None,
    }


@pytest.mark.parametrize("options", [{}, {"retries": 1, "traceback": "…", "due": 5}])
def test_a_message_that_changes_nothing_has_the_policy_of_its_actor(options: dict[str, Any]) -> None:
    of_actor = policy()

    assert of_actor.overridden_by(options) is of_actor


@pytest.mark.parametrize("option", sorted(DURATIONS))
def test_a_duration_travels_as_milliseconds(option: str) -> None:
    with pytest.raises(InvalidPolicy) as error:
        policy().overridden_by({option: timedelta(days=1)})

    assert str(error.value) == f"actor 'charge': {option}= must be an int of milliseconds in a message"


def test_the_error_stops_a_message_from_within_a_hook() -> None:
    assert issubclass(InvalidPolicy, MiddlewareError)


def test_what_a_message_may_say_is_declared_once() -> None:
    assert {*RetryOptions.__annotations__, "throws"} == OVERRIDES
