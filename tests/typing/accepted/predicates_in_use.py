"""What the type checker accepts of retries: every predicate that can be asked."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, assert_type

import dramatiq

from actors import FailedAttempt, Retryable, actor, by_status, by_type
from middleware import Retries
from middleware.predicates import Answer, Predicate, ask
from middleware.retry_policy import RetryDefaults


def always(retries: int, error: BaseException) -> bool:
    return True


def soon(retries: int, error: BaseException) -> timedelta:
    return timedelta(seconds=retries)


def perhaps(retries: int, error: BaseException) -> bool | timedelta | None:
    return None


def patient(retries: int, error: BaseException, patience: int = 5) -> bool:
    return retries < patience


def of_many(*about: object) -> None: ...


@dataclass
class Rule:
    patience: int

    def __call__(self, retries: int, error: BaseException) -> bool:
        return retries < self.patience

    def method(self, retries: int, error: BaseException) -> bool | None:
        return None


class Yes(Retryable):
    def decide(self, attempt: FailedAttempt) -> bool:
        return True


class Later(Retryable):
    def decide(self, attempt: FailedAttempt) -> timedelta | None:
        return attempt.age if attempt.retries else None


class NoOpinion(Retryable):
    def decide(self, attempt: FailedAttempt) -> None: ...


class Judging(Later):
    def decide(self, attempt: FailedAttempt) -> timedelta:
        assert_type(attempt.message, dramatiq.Message[Any])
        assert_type(attempt.error, BaseException)
        assert_type(attempt.retries, int)
        assert_type(attempt.age, timedelta)
        return attempt.age


predicates: list[Predicate] = [
    always,
    soon,
    perhaps,
    patient,
    partial(patient, patience=7),
    of_many,
    Rule(5),
    Rule(5).method,
    Yes(),
    Later(),
    NoOpinion(),
    Judging(),
    by_type(ConnectionError, TimeoutError),
    by_type(KeyboardInterrupt),
    by_status(429, 503),
    lambda retries, error: True,
    lambda retries, error: None,
    lambda retries, error: timedelta(seconds=1),
    lambda retries, error: None if retries < 3 else isinstance(error, ConnectionError),
    lambda retries, error: timedelta(minutes=1) if retries else True,
    lambda *about: False,
]

assert_type(by_type(KeyError) & by_status(500), Retryable)
assert_type(by_type(KeyError) | Yes() | ~Later(), Retryable)
assert_type(~by_status(404), Retryable)


@actor(retry_when=always)
def by_a_function() -> None: ...


@actor(retry_when=Rule(5), throws=ValueError, max_age=None)
def by_an_object() -> None: ...


@actor(retry_when=lambda retries, error: timedelta(seconds=1) if retries else None, throws=())
def by_a_lambda() -> None: ...


@actor(retry_when=Yes() & ~by_type(KeyError, ValueError) | Judging(), throws=(SystemExit,))
def by_a_combination() -> None: ...


@actor(retry_when=None, max_backoff=timedelta(days=1), jitter=True)
def by_its_policy() -> None: ...


by_its_policy.send_with_options(
    max_retries=0, min_backoff=timedelta(seconds=1), max_backoff=1_000, jitter=False, max_age=None
)


def asked(attempt: FailedAttempt) -> Answer:
    judge: Callable[[Predicate, FailedAttempt], Answer] = ask
    Retries(ask=judge, defaults=lambda: RetryDefaults(max_retries=None))
    return ask(by_type(KeyError), attempt, limit_s=1)
