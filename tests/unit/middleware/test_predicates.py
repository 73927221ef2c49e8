"""Predicates are asked, whatever they are made of, and always give an answer or a reason why there is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Any, NoReturn

import dramatiq
import pytest

from middleware import predicates
from middleware.attempt import Attempt, current, set_current
from middleware.options import InvalidPolicy
from middleware.predicates import Answer, FailedAttempt, NoAnswer, Predicate, Retryable, ask, by_type


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class Unrepresentable:
    def __repr__(self) -> str:
        raise KeyError("repr")


class Secretive:
    def __getattribute__(self, name: str) -> NoReturn:
        raise KeyError(name)


class Rule(Retryable):
    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.seen: list[FailedAttempt] = []

    def decide(self, attempt: FailedAttempt) -> Answer:
        self.seen.append(attempt)
        answer: Answer = self.answer
        return answer


def failed(error: BaseException | None = None, *args: Any, retries: int = 2, **options: Any) -> FailedAttempt:
    message: dramatiq.Message[Any] = dramatiq.Message("default", "charge", args, {}, options)
    return FailedAttempt(message, ConnectionResetError() if error is None else error, retries, timedelta(seconds=7))


def why_none(predicate: Predicate, attempt: FailedAttempt | None = None, limit_s: float = 30.0) -> str:
    with pytest.raises(NoAnswer) as error:
        ask(predicate, attempt or failed(), limit_s=limit_s)
    return str(error.value)


def raising(error: BaseException) -> Predicate:
    def predicate(retries: int, about: BaseException) -> NoReturn:
        raise error

    return predicate


ANSWERS = [True, False, None, timedelta(0), timedelta(seconds=5), timedelta.max]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_of_a_function_is_passed_on(answer: Answer) -> None:
    seen: list[tuple[int, BaseException]] = []

    def predicate(retries: int, error: BaseException) -> Answer:
        seen.append((retries, error))
        return answer

    attempt = failed()
    assert ask(predicate, attempt) is answer
    assert seen == [(2, attempt.error)]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_of_a_retryable_is_passed_on(answer: Answer) -> None:
    rule, attempt = Rule(answer), failed(None, 42, max_age=5)

    assert ask(rule, attempt) is answer
    assert rule.seen == [attempt]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("yes", "'yes'"),
        (1, "1"),
        (0, "0"),
        (0.5, "0.5"),
        ("", "''"),
        ([], "[]"),
        (ConnectionError, "<class 'ConnectionError'>"),
    ],
)
def test_what_is_no_answer_is_none(said: Any, shown: str) -> None:
    text = f"retry_when returned {shown}; it must return True, False, a timedelta or None"

    assert why_none(lambda retries, error: said) == text
    assert why_none(Rule(said)) == text


def test_what_is_no_answer_is_shown_in_short() -> None:
    assert len(why_none(Rule("x" * 10_000_000))) < 200
    assert len(why_none(Rule([["x" * 100] * 100] * 100))) < 3_000


def test_what_can_not_be_shown_is_no_answer_either() -> None:
    assert why_none(Rule(Unrepresentable())).startswith("retry_when returned <Unrepresentable instance at ")
    assert why_none(Rule(Secretive())) == "retry_when raised KeyError: '__class__'"


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (KeyError("no such field"), "KeyError: 'no such field'"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
        (Unspeakable(), "Unspeakable: (its str() raised SystemExit)"),
        (StopIteration(), "StopIteration: "),
    ],
)
def test_a_predicate_that_raises_gives_no_answer(error: BaseException, shown: str) -> None:
    assert why_none(raising(error)) == f"retry_when raised {shown}"


def test_the_text_of_what_a_predicate_raises_is_cut() -> None:
    assert len(why_none(raising(ValueError("x" * 10_000_000)))) < 2_100


def test_a_predicate_that_never_returns_gives_no_answer_and_stops_nobody() -> None:
    go_on = threading.Event()

    def stuck(retries: int, error: BaseException) -> bool:
        return go_on.wait(60)

    try:
        assert why_none(stuck, limit_s=0.2) == "retry_when did not return within 0.2 s"
        (left,) = (thread for thread in threading.enumerate() if thread.name == "actors-retry_when")
        assert left.daemon
    finally:
        go_on.set()
    left.join(10)
    assert not left.is_alive()


def test_a_predicate_that_takes_its_time_is_waited_for() -> None:
    looked = threading.Event()

    class Looking(SimpleQueue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            try:
                return super().get(block, timeout)
            except Empty:
                looked.set()
                raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predicates, "SimpleQueue", Looking)
        # It answers once it has been looked for in vain.
        assert ask(lambda retries, error: looked.wait(10), failed(), limit_s=30.0) is True


def test_a_process_that_was_suspended_goes_on_waiting() -> None:
    """The clock has gone on without it, by far more than the predicate may take."""
    woken = threading.Event()
    asleep = [0.0]
    clock = time.monotonic

    class Suspended(SimpleQueue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            if not woken.is_set():
                asleep[0] += 3_600
                woken.set()
                raise Empty
            return super().get(block, timeout)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predicates, "SimpleQueue", Suspended)
        patch.setattr(time, "monotonic", lambda: clock() + asleep[0])
        assert ask(lambda retries, error: woken.wait(10), failed(), limit_s=30.0) is True


def test_a_worker_that_can_start_no_thread_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert why_none(lambda retries, error: True) == "retry_when can't be asked: can't start new thread"


@pytest.fixture
def attempt() -> Iterator[Attempt]:
    """The attempt that runs here."""
    attempt = Attempt(failed().message, number=3, scope="charge", key="order", maybe_ran=False, fence=7)
    set_current(attempt)
    yield attempt
    set_current(None)


def test_a_predicate_sees_the_attempt_that_it_judges(attempt: Attempt) -> None:
    seen: list[Attempt] = []

    ask(lambda retries, error: seen.append(current()), failed())

    assert seen == [attempt]


def test_what_a_predicate_sets_for_itself_is_not_seen_by_its_worker() -> None:
    colour = ContextVar("colour", default="red")

    assert ask(lambda retries, error: bool(colour.set("blue")), failed()) is True
    assert colour.get() == "red"


class Meddling(Retryable):
    def decide(self, attempt: FailedAttempt) -> Answer:
        attempt.message.args[0].append("more")
        attempt.message.options["max_retries"] = 1_000
        attempt.message.options["own"]["x"] = 2
        return None


def test_a_predicate_can_not_change_the_message() -> None:
    attempt = failed(None, ["a book"], max_retries=2, own={"x": 1})

    assert ask(Meddling(), attempt) is None
    assert (attempt.message.args, attempt.message.options) == ((["a book"],), {"max_retries": 2, "own": {"x": 1}})


def test_a_message_that_can_not_be_copied_is_not_judged() -> None:
    text = why_none(Rule(True), failed(None, threading.Lock()))

    assert text == "retry_when raised TypeError: cannot pickle '_thread.lock' object"


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (ConnectionError(), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (KeyboardInterrupt(), True),
        (OSError(), False),
        (SystemExit(), False),
    ],
)
def test_by_type_retries_errors_of_its_types_and_no_others(error: BaseException, answer: bool) -> None:
    assert by_type(ConnectionError, TimeoutError, KeyboardInterrupt).decide(failed(error)) is answer


@pytest.mark.parametrize("types", [(), ("ConnectionError",), (int,), ((KeyError, ValueError),), (KeyError, KeyError())])
def test_by_type_is_declared_with_errors(types: Any) -> None:
    with pytest.raises(InvalidPolicy) as error:
        by_type(*types)

    assert str(error.value) == f"by_type{types!r}: must have one or more classes of errors"


def test_a_thread_that_has_answered_ends() -> None:
    asked: list[threading.Thread] = []

    ask(lambda retries, error: asked.append(threading.current_thread()), failed())

    asked[0].join(10)
    assert not asked[0].is_alive()
