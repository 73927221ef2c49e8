"""Whether an attempt that failed is worth another: predicates for the option ``retry_when``.

A predicate returns True or False, a ``timedelta`` to be tried again after it, or None: no opinion, the actor's policy
decides. Whatever it says, the policy's limits hold.
"""

from __future__ import annotations

import reprlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextvars import copy_context
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from queue import Empty, SimpleQueue
from typing import Any, NoReturn

import dramatiq

from middleware.failure import text_of
from middleware.options import InvalidPolicy

Answer = bool | timedelta | None

# How long a predicate may think, and how often it is looked after meanwhile, in seconds. A process that was suspended
# has used up one look, not the whole time.
LIMIT_S = 5.0
_LOOK_S = 0.1
# The longest that a server can ask for, in seconds; policies allow far less.
_LONGEST_S = 10**9


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

    In a combination None is as good as absent, the others decide; of several delays the longest counts. What follows a
    False in ``&`` is not asked.
    """

    @abstractmethod
    def decide(self, attempt: FailedAttempt) -> Answer:
        """Return whether, or after how long, to try again; None for no opinion."""

    def __and__(self, other: Retryable) -> Retryable:
        return _Both(self, _retryable(other))

    def __or__(self, other: Retryable) -> Retryable:
        return _Either(self, _retryable(other))

    def __invert__(self) -> Retryable:
        return _Not(self)

    def __bool__(self) -> NoReturn:
        raise InvalidPolicy("a Retryable is neither true nor false; combine it by &, | and ~, not by and, or and not")


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
    answers: SimpleQueue[Answer | NoAnswer] = SimpleQueue()

    def answer() -> None:
        try:
            answers.put(_answer(predicate, attempt))
        except NoAnswer as error:
            answers.put(error)
        except BaseException as error:  # also SystemExit, which would end this thread without a word
            answers.put(NoAnswer(f"retry_when raised {type(error).__name__}: {text_of(error)}"))

    thread = threading.Thread(target=copy_context().run, args=(answer,), name="actors-retry_when", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise NoAnswer(f"retry_when can't be asked: {error}") from error
    for _ in range(max(1, round(limit_s / _LOOK_S))):
        try:
            said = answers.get(timeout=_LOOK_S)
        except Empty:
            continue
        if isinstance(said, NoAnswer):
            raise said
        return said
    raise NoAnswer(f"retry_when did not return within {limit_s:g} s")


def by_type(*types: type[BaseException]) -> Retryable:
    """Retry errors of *types*, and no others.

    Raises:
        InvalidPolicy: there is none, or one is no class of errors.
    """
    if not types or not all(BaseException in getattr(each, "__mro__", ()) for each in types):
        raise InvalidPolicy(f"by_type{types!r}: must have one or more classes of errors")
    return _ByType(types)


def by_status(*statuses: int) -> Retryable:
    """Retry HTTP errors with one of *statuses*, after the response's ``Retry-After`` if it has one.

    It knows the errors of requests, httpx, aiohttp and urllib. Of an error without a status it has no opinion.

    Raises:
        InvalidPolicy: there is none, or one is no HTTP status.
    """
    if not statuses or not all(each in range(100, 600) for each in statuses):
        raise InvalidPolicy(f"by_status{statuses!r}: must have one or more ints from 100 to 599")
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
        # The errors of requests and httpx have a response, those of aiohttp and urllib are one themselves.
        response = getattr(attempt.error, "response", None)
        if response is None:  # requests has it that a response with an error is false
            response = attempt.error
        status = next((getattr(response, name) for name in ("status_code", "status") if hasattr(response, name)), None)
        if not isinstance(status, int):
            return None
        return (_retry_after(response) or True) if status in self.statuses else False


@dataclass(frozen=True, slots=True)
class _Both(Retryable):
    one: Retryable
    other: Retryable

    def decide(self, attempt: FailedAttempt) -> Answer:
        one = _checked(self.one.decide(attempt))
        if one is False:
            return False
        other = _checked(self.other.decide(attempt))
        return False if other is False else _longest((one, other))


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


def _answer(predicate: Predicate, attempt: FailedAttempt) -> Answer:
    if not isinstance(predicate, Retryable):
        return _checked(predicate(attempt.retries, attempt.error))
    # A copy: what becomes of the message goes on while it thinks, and is nothing to be changed.
    return _checked(predicate.decide(replace(attempt, message=deepcopy(attempt.message))))


def _checked(said: object) -> Answer:
    if said is None or isinstance(said, bool | timedelta):
        return said
    raise NoAnswer(f"retry_when returned {reprlib.repr(said)}; it must return True, False, a timedelta or None")


def _retryable(other: object) -> Retryable:
    if isinstance(other, Retryable):
        return other
    raise InvalidPolicy(f"{reprlib.repr(other)} can't be combined with a Retryable; make it a subclass of Retryable")


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
        if value.strip().isdigit():
            delay = timedelta(seconds=min(int(value), _LONGEST_S))
        else:
            date = parsedate_to_datetime(value)
            # The oldest of its forms names no zone.
            delay = (date if date.tzinfo is not None else date.replace(tzinfo=UTC)) - datetime.now(UTC)
    except (ValueError, OverflowError, TypeError):
        return None
    return delay if delay > timedelta() else None
