"""The options of retries, from the decorator and the settings into the message."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from actors import FailedAttempt, Retryable, actor, assembly, by_status, by_type
from actors.configuration import read
from actors.errors import DeclarationError, NotEncodable
from actors.testing import StubBroker, drain, enqueued


class Patient(Retryable):
    def decide(self, attempt: FailedAttempt) -> bool:
        return True


async def asynchronous(retries: int, error: BaseException) -> bool:
    return True


def of_the_error(error: BaseException) -> bool:
    return True


def declare(**options: Any) -> Any:
    def charge(order_id: int = 0) -> None:
        raise ConnectionError("busy")

    return actor(**options)(charge)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DeclarationError) as error:
        call()
    return str(error.value)


def test_an_actor_keeps_its_options_as_they_are_given_and_their_policy(stub_broker: StubBroker) -> None:
    rule = by_type(ConnectionError) & ~by_status(404)
    charge = declare(max_retries=None, min_backoff=timedelta(seconds=1), retry_when=rule, throws=(KeyError,))

    assert charge.options == {
        "max_retries": None,
        "min_backoff": timedelta(seconds=1),
        "retry_when": rule,
        "throws": (KeyError,),
    }
    assert (charge.retry_policy.max_retries, charge.retry_policy.min_backoff_ms) == (None, 1_000)
    assert (charge.retry_policy.retry_when, charge.retry_policy.throws) == (rule, (KeyError,))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"max_retries": "3"}, "max_retries='3' must be an int of at least 0, or None"),
        ({"max_retries": -1}, "max_retries=-1 must be an int of at least 0, or None"),
        (
            {"min_backoff": timedelta(0)},
            "min_backoff=datetime.timedelta(0) must be an int of milliseconds, or a timedelta, from 1 ms to 1 year",
        ),
        (
            {"min_backoff": 2_000, "max_backoff": timedelta(seconds=1)},
            "min_backoff=2,000 ms is longer than max_backoff=1,000 ms; change one of them",
        ),
        ({"jitter": "no"}, "jitter='no' must be True or False"),
        (
            {"max_age": 0},
            "max_age=0 must be an int of milliseconds, or a timedelta, from 1 ms to 10 years, or None",
        ),
        ({"throws": "KeyError"}, "throws='KeyError' must be a class of errors, or a tuple of them"),
        (
            {"retry_when": of_the_error},
            f"retry_when={of_the_error!r} must take two arguments: how many retries there were, and the error, or None",
        ),
        (
            {"retry_when": asynchronous},
            f"retry_when={asynchronous!r} must not be async; it is called where no event loop runs, or None",
        ),
        (
            {"retry_when": Patient},
            f"retry_when={Patient!r} must be a function of retries and error, "
            "or a Retryable such as by_type(ConnectionError), or None",
        ),
        ({"max_retry": 3}, "unknown option 'max_retry', did you mean 'max_retries'?"),
        ({"retry_if": Patient()}, "unknown option 'retry_if', did you mean 'retry_when'?"),
        ({"min_backof": 5}, "unknown option 'min_backof', did you mean 'min_backoff'?"),
        ({"jiter": True}, "unknown option 'jiter', did you mean 'jitter'?"),
    ],
)
def test_options_that_could_not_work_are_refused_at_declaration(
    stub_broker: StubBroker, options: dict[str, Any], problem: str
) -> None:
    assert refusal(lambda: declare(**options)) == f"actor 'charge': {problem}"
    assert "charge" not in stub_broker.actors


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"max_retries": "3"}, "max_retries='3' must be an int of at least 0, or None"),
        ({"jitter": 0}, "jitter=0 must be True or False"),
        (
            {"max_backoff": timedelta(days=-1)},
            "max_backoff=-86400000 must be an int of milliseconds, or a timedelta, from 1 ms to 1 year",
        ),
        (
            {"min_backoff": 2, "max_backoff": 1},
            "min_backoff=2 ms is longer than max_backoff=1 ms; change one of them",
        ),
        (
            {"max_age": "1h"},
            "max_age='1h' must be an int of milliseconds, or a timedelta, from 1 ms to 10 years, or None",
        ),
        ({"throws": "KeyError"}, "throws='KeyError' must be a class of errors, or a tuple of them"),
        ({"max_retry": 3}, "unknown option 'max_retry', did you mean 'max_retries'?"),
    ],
)
def test_options_that_could_not_work_are_refused_at_send(
    stub_broker: StubBroker, options: dict[str, Any], problem: str
) -> None:
    charge = declare()
    send = refusal(lambda: charge.send_with_options(args=(42,), **options))
    message = refusal(lambda: charge.message_with_options(args=(42,), **options))

    assert send == message == f"actor 'charge': {problem}"
    assert enqueued() == []


@pytest.mark.parametrize("options", [{"retry_when": Patient()}, {"throws": KeyError}])
def test_what_only_an_actor_can_say_does_not_travel(stub_broker: StubBroker, options: dict[str, Any]) -> None:
    charge = declare()

    with pytest.raises((DeclarationError, NotEncodable)):
        charge.send_with_options(args=(42,), **options)
    assert enqueued() == []


def test_options_of_a_message_travel_with_durations_in_milliseconds(stub_broker: StubBroker) -> None:
    declare().send_with_options(
        args=(42,),
        max_retries=None,
        min_backoff=timedelta(microseconds=1_001),
        max_backoff=timedelta(days=1),
        jitter=False,
        max_age=timedelta(days=2),
        on_retry_exhausted="alarm",
    )

    assert enqueued()[0].options == {
        "max_retries": None,
        "min_backoff": 2,
        "max_backoff": 86_400_000,
        "jitter": False,
        "max_age": 172_800_000,
        "on_retry_exhausted": "alarm",
    }


def test_settings_hold_where_an_actor_says_nothing(stub_broker: StubBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read({"max_retries": 1, "min_backoff_ms": 2_000, "max_backoff_ms": 2_000})
    monkeypatch.setattr(assembly, "_settings", settings)
    charge = declare()
    charge.send()
    drain(retries=True)

    assert (charge.retry_policy.max_retries, charge.retry_policy.max_backoff_ms) == (1, 2_000)
    assert enqueued()[0].delay == timedelta(seconds=2)
    drain(raises=False, with_delays=True)
    assert stub_broker.dead_letters[0].options["retries"] == 2
