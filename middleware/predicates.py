"""Whether an attempt that failed is worth another: predicates for the option ``retry_when``.

A predicate returns True or False, a ``timedelta`` to be tried again after it, or None: no opinion, the actor's policy
decides. Whatever it says, the policy's limits hold.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from queue import Empty, SimpleQueue
from typing import Any

import dramatiq

Answer = bool | timedelta | None

# How long a predicate may think, and how often it is looked after meanwhile, in seconds. A process that was suspended
# has used up one look, not the whole time.
LIMIT_S = 5.0
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """What a predicate judges.

    Attributes:
        message: the message, as it was sent.
        error: what the attempt has raised.
        retries: how many attempts failed before this one.
        age: since the message could first run.
    """

    message: dramatiq.Message[Any]
    error: BaseException
    retries: int
    age: timedelta


class Retryable(ABC):
    """A predicate that sees the whole attempt, and can be combined with others by ``&``, ``|`` and ``~``.

    In a combination None is as good as absent, the others decide; of several delays the longest counts.
    """

    @abstractmethod
    def decide(self, attempt: FailedAttempt) -> Answer:
        """Return whether, or after how long, to try again; None for no opinion."""

    def __and__(self, other: Retryable) -> Retryable:
        return _Both(self, other)

    def __or__(self, other: Retryable) -> Retryable:
        return _Either(self, other)

    def __invert__(self) -> Retryable:
        return _Not(self)


Predicate = Callable[[int, BaseException], Answer] | Retryable


class NoAnswer(Exception):
    """A predicate raised, took too long, or returned what is no answer."""


def ask(predicate: Predicate, attempt: FailedAttempt, *, limit_s: float = LIMIT_S) -> Answer:
    """Return what *predicate* says of *attempt*.

    It runs in a thread of its own, which is left behind if it does not come back: no other way of interrupting it
    would survive a predicate that waits for a lock or a socket.

    Raises:
        NoAnswer: it raised, took longer than *limit_s* seconds, or returned what is no answer.
    """
    answers: SimpleQueue[object] = SimpleQueue()

    def answer() -> None:
        try:
            if isinstance(predicate, Retryable):
                answers.put(predicate.decide(attempt))
            else:
                answers.put(predicate(attempt.retries, attempt.error))
        except NoAnswer as error:
            answers.put(error)
        except BaseException as error:  # also SystemExit, which would end this thread without a word
            answers.put(NoAnswer(f"retry_when raised {type(error).__name__}: {error}"))

    threading.Thread(target=copy_context().run, args=(answer,), name="actors-retry_when", daemon=True).start()
    for _ in range(max(1, round(limit_s / _LOOK_S))):
        try:
            said = answers.get(timeout=_LOOK_S)
        except Empty:
            continue
        if isinstance(said, NoAnswer):
            raise said
        return _checked(said)
    raise NoAnswer(f"retry_when did not return within {limit_s:g} s")


def by_type(*types: type[BaseException]) -> Retryable:
    """Retry errors of *types*, and no others."""
    return _ByType(types)


def by_status(*statuses: int) -> Retryable:
    """Retry HTTP errors with one of *statuses*, after the response's ``Retry-After`` if it has one.

    It knows the errors of requests, httpx, aiohttp and urllib. Of an error without a status it has no opinion.
    """
    return _ByStatus(frozenset(statuses))


@dataclass(frozen=True, slots=True)
class _ByType(Retryable):
    types: tuple[type[BaseException], ...]

    def decide(self, attempt: FailedAttempt) -> Answer:
        return isinstance(attempt.error, self.types)


@dataclass(frozen=True, slots=True)
class _ByStatus(Retryable):
    statuses: frozenset[int]

    def decide(self, attempt: FailedAttempt) -> Answer:
        # requests and httpx have a response, aiohttp and urllib are one themselves.
        response = getattr(attempt.error, "response", None) or attempt.error
        status = next((getattr(response, name) for name in ("status_code", "status") if hasattr(response, name)), None)
        if not isinstance(status, int):
            return None
        return (_retry_after(response) or True) if status in self.statuses else False


@dataclass(frozen=True, slots=True)
class _Both(Retryable):
    one: Retryable
    other: Retryable

    def decide(self, attempt: FailedAttempt) -> Answer:
        answers = _checked(self.one.decide(attempt)), _checked(self.other.decide(attempt))
        return False if False in answers else _longest(answers)


@dataclass(frozen=True, slots=True)
class _Either(Retryable):
    one: Retryable
    other: Retryable

    def decide(self, attempt: FailedAttempt) -> Answer:
        answers = _checked(self.one.decide(attempt)), _checked(self.other.decide(attempt))
        found = _longest(answers)
        return False if found is None and False in answers else found


@dataclass(frozen=True, slots=True)
class _Not(Retryable):
    one: Retryable

    def decide(self, attempt: FailedAttempt) -> Answer:
        answer = _checked(self.one.decide(attempt))
        return None if answer is None else answer is False


def _checked(said: object) -> Answer:
    if said is None or isinstance(said, bool | timedelta):
        return said
    raise NoAnswer(f"retry_when returned {said!r:.200}; it must return True, False, a timedelta or None")


def _longest(answers: Iterable[Answer]) -> Answer:
    """Return the longest delay, else True if there is one, else None."""
    kept = [answer for answer in answers if answer is not None and answer is not False]
    delays = [answer for answer in kept if isinstance(answer, timedelta)]
    return max(delays) if delays else (True if kept else None)


def _retry_after(response: Any) -> timedelta | None:
    """Return the delay of a ``Retry-After`` header, seconds or a date (RFC 9110, 10.2.3); None for none or the past."""
    get = getattr(getattr(response, "headers", None), "get", None)
    value = get("Retry-After") if callable(get) else None
    if not isinstance(value, str):
        return None
    try:
        delay = timedelta(seconds=int(value)) if value.strip().isdigit() else parsedate_to_datetime(value) - _now()
    except (ValueError, OverflowError, TypeError):
        return None
    return delay if delay > timedelta() else None


def _now() -> datetime:
    return datetime.now(UTC)
