"""Errors and options that nobody would write on purpose: the message is retried or dead, and its worker lives."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn

import dramatiq
import pytest
from dramatiq.middleware import Middleware, MiddlewareError

from actors import actor
from actors.testing import StubBroker, drain, enqueued
from middleware import current
from middleware.failure import LONGEST, failure_of
from middleware.retries import LONGEST_TRACEBACK
from middleware.trail import LONGEST_ERROR, trail_of
from services.deadline import until
from tests.unit.middleware import foreign


class Unspeakable(Exception):
    def __str__(self) -> NoReturn:
        raise SystemExit(3)

    __repr__ = __str__


class BadNotes(Exception):
    @property
    def __notes__(self) -> NoReturn:  # type: ignore[override]
        raise KeyError("notes")


def bad_syntax() -> SyntaxError:
    error = SyntaxError("no")
    error.lineno, error.offset, error.text = "a", "b", 3  # type: ignore[assignment]
    return error


def deep() -> NoReturn:
    deep()


def declare(work: Callable[[], object], **options: Any) -> Any:
    def charge() -> None:
        work()

    return actor(**{"actor_name": "charge", "max_retries": 1, "min_backoff": 1, **options})(charge)


def failing(error: BaseException) -> Callable[[], NoReturn]:
    def work() -> NoReturn:
        raise error

    return work


@pytest.mark.parametrize(
    "error",
    [
        Unspeakable(),
        BadNotes("no"),
        bad_syntax(),
        ValueError("x" * 10_000_000),
        ValueError("\udce9" * 100_000),
        FileNotFoundError("caf\udce9.txt"),
        ValueError("\x00\n" * 5_000),
        ExceptionGroup("many", [ValueError("x" * 10_000)] * 1_000),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_retried_and_noted_whatever_it_is_made_of(
    stub_broker: StubBroker, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    caplog.set_level("CRITICAL", "dramatiq")  # whose own line about it can't be written
    declare(failing(error)).send()
    drained = drain(raises=False, with_delays=True)

    assert [attempt.outcome for attempt in drained.attempts] == ["retried", "dead"]
    (letter,) = stub_broker.dead_letters
    assert failure_of(letter).type == type(error).__name__
    assert len(failure_of(letter).message) <= LONGEST
    assert all(len(each["error"]) <= LONGEST_ERROR for each in trail_of(letter))
    assert 0 < len(letter.options["traceback"]) <= LONGEST_TRACEBACK + LONGEST
    assert dramatiq.Message.decode(letter._message.encode()).options == json.loads(json.dumps(letter.options))


def test_the_frames_of_a_long_error_are_kept(stub_broker: StubBroker) -> None:
    declare(failing(ValueError("x" * 100_000)), max_retries=0).send()
    drain(raises=False)

    traceback = stub_broker.dead_letters[0].options["traceback"]
    assert "in work\n    raise error\n" in traceback
    assert traceback.endswith(f"ValueError: {'x' * (LONGEST - len('ValueError: '))}…\n")


def test_of_many_frames_those_nearest_to_the_error_are_kept(stub_broker: StubBroker) -> None:
    declare(deep, max_retries=0).send()
    drain(raises=False)

    traceback = stub_broker.dead_letters[0].options["traceback"]
    assert "in deep" in traceback
    assert "in charge" not in traceback
    assert traceback.endswith("RecursionError: maximum recursion depth exceeded\n")


RETRIED: list[dict[str, Any]] = [
    {"retries": "0"},
    {"retries": -1},
    {"retries": None},
    {"retries": 10**30},
    {"retries": [1]},
    {"attempts": "x"},
    {"attempts": [None, "x"]},
    {"attempts": {"attempt": 1}},
    {"failure": []},
    {"failure": {"reason": ["exhausted"]}},
    {"due": "yesterday"},
    {"due": None},
    {"due": 10**30},
    {"traceback": 7},
    {"retry_when": "always"},
    {"throws": None},
    {"on_retry_exhausted": ["x"]},
]
DEAD: list[dict[str, Any]] = [
    {"max_retries": "many"},
    {"max_retries": -1},
    {"max_retries": 1.0},
    {"min_backoff": 10**30},
    {"min_backoff": "1s"},
    {"max_backoff": 0},
    {"min_backoff": 2_000, "max_backoff": 1_000},
    {"jitter": "yes"},
    {"max_age": "1h"},
    {"max_age": True},
    {"throws": "ValueError"},
    {"throws": ["ValueError"]},
    {"throws": 1},
    {"retries": "x", "max_retries": "y", "attempts": "z", "failure": 1, "due": {}, "on_failure": 5},
    {"due": float("nan")},
    {"own": "\ud800"},
]


def shown(options: dict[str, Any]) -> str:
    return repr(options)[:60]


def sent(broker: StubBroker, options: dict[str, Any], work: Callable[[], object]) -> dramatiq.Message[Any]:
    declare(work, idempotent=options.get("idempotent", True))
    message: dramatiq.Message[Any] = dramatiq.Message("default", "charge", (), {}, options)
    foreign.send(broker, message)
    return message


@pytest.mark.parametrize("idempotent", [True, False])
@pytest.mark.parametrize(
    ("options", "outcome"),
    [*((options, "retried") for options in RETRIED), *((options, "dead") for options in DEAD)],
    ids=lambda value: shown(value) if isinstance(value, dict) else "",
)
def test_options_of_another_producer_do_not_lose_its_message(
    stub_broker: StubBroker, options: dict[str, Any], outcome: str, idempotent: bool
) -> None:
    message = sent(stub_broker, {**options, "idempotent": idempotent}, failing(ValueError("no")))
    (attempt,) = drain(raises=False).attempts

    assert attempt.outcome == outcome
    retried, dead = enqueued(), stub_broker.dead_letters
    assert [each.message_id for each in retried] + [each.message_id for each in dead] == [message.message_id]
    drain(raises=False, with_delays=True)
    assert [each.message_id for each in stub_broker.dead_letters] == [message.message_id]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"own": float("nan")}, "options.own: nan is not a number that JSON has"),
        ({"own": "\ud800"}, "options.own: the text holds half of a surrogate pair"),
    ],
    ids=shown,
)
def test_a_message_that_can_not_be_sent_again_says_so(
    stub_broker: StubBroker, options: dict[str, Any], problem: str
) -> None:
    sent(stub_broker, options, failing(ValueError("no")))
    drain(raises=False)

    (letter,) = stub_broker.dead_letters
    assert (failure_of(letter).reason, failure_of(letter).type) == ("too_large", "NotEncodable")
    assert failure_of(letter).message.startswith(f"actor 'charge': {problem}")
    assert enqueued() == []


@pytest.mark.parametrize("retries", ["3", -1, None, [1], 10**30])
def test_an_attempt_has_a_number_whatever_its_message_says(stub_broker: StubBroker, retries: object) -> None:
    numbers: list[int] = []

    def work() -> NoReturn:
        numbers.append(current().number)
        raise ValueError("no")

    sent(stub_broker, {"retries": retries}, work)
    drain(raises=False, with_delays=True)

    assert numbers == [1, 2]


def test_an_option_that_could_not_work_is_named_in_the_dead_letter(stub_broker: StubBroker) -> None:
    sent(stub_broker, {"max_retries": "x" * 100_000}, failing(ValueError("no")))
    drain(raises=False)

    (letter,) = stub_broker.dead_letters
    assert failure_of(letter).reason == "undecodable"
    assert trail_of(letter)[-1]["why"].startswith("actor 'charge': max_retries='xxx")
    assert "ValueError: no\nactor 'charge': max_retries='xxx" in letter.options["traceback"]
    assert len(letter.options["traceback"]) + len(trail_of(letter)[-1]["why"]) <= LONGEST_TRACEBACK + 2 * LONGEST


@pytest.mark.parametrize("options", [*RETRIED, *DEAD], ids=shown)
def test_a_message_that_succeeds_is_done_whatever_its_options(stub_broker: StubBroker, options: dict[str, Any]) -> None:
    refused = "max_age" in options or options.get("throws") is not None
    message = sent(stub_broker, options, lambda: None)
    drain(raises=False)

    assert [each.message_id for each in stub_broker.dead_letters] == ([message.message_id] if refused else [])
    assert enqueued() == []


def test_a_workers_thread_outlives_them_all(stub_broker: StubBroker) -> None:
    ran: list[int] = []
    worker = dramatiq.Worker(stub_broker, worker_threads=1, worker_timeout=10)
    for options in [*RETRIED, *DEAD]:
        foreign.send(stub_broker, dramatiq.Message("default", "charge", (), {}, options))
    declare(failing(ValueError("no")), max_retries=0)
    actor(actor_name="last")(lambda: ran.append(1)).send()
    worker.start()
    try:
        until(lambda: ran, seconds=30, what="the message behind them")
        stub_broker.join("default", timeout=30_000, fail_fast=False)
        assert all(thread.is_alive() for thread in worker.workers)
        assert len(stub_broker.dead_letters) + len(enqueued()) == len([*RETRIED, *DEAD])
    finally:
        worker.stop()


class Raising(Middleware):
    def __init__(self, error: Exception) -> None:
        self.error = error

    def before_nack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        raise self.error


@pytest.mark.parametrize("error", [ValueError("mine"), MiddlewareError("mine")])
def test_a_hook_that_raises_before_a_nack_does_not_keep_the_message_from_its_dead_letters(
    stub_broker: StubBroker, error: Exception
) -> None:
    stub_broker.middleware.insert(0, Raising(error))
    told: list[Any] = []
    actor(actor_name="failed")(lambda message, outcome: told.append(outcome["reason"]))
    declare(failing(ValueError("no")), max_retries=0, on_failure="failed").send()
    drain(raises=False)

    assert (len(stub_broker.dead_letters), told) == (1, ["exhausted"])


def test_a_worker_that_can_start_no_thread_dead_letters_what_it_can_not_judge(
    stub_broker: StubBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: object) -> NoReturn:
        raise RuntimeError("can't start new thread")

    declare(failing(ValueError("no")), retry_when=lambda retries, error: True).send()
    with monkeypatch.context() as patch:
        patch.setattr("middleware.predicates.threading.Thread.start", refuse)
        drain(raises=False)

    (letter,) = stub_broker.dead_letters
    assert trail_of(letter)[-1]["why"] == "retry_when can't be asked: can't start new thread"
