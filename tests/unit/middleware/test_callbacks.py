"""Who waits for the end of a message is told once, and only of its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, NoReturn

import dramatiq
import pytest
from dramatiq.middleware import Middleware, SkipMessage

from actors import actor
from actors.testing import StubBroker, drain

Reports = list[tuple[str, dict[str, Any], Any]]


@pytest.fixture
def reports(stub_broker: StubBroker) -> Reports:
    """What the callbacks were told: which, the message, and the outcome."""
    told: Reports = []

    def callback(name: str) -> None:
        def tell(message: dict[str, Any], outcome: Any) -> None:
            told.append((name, message, outcome))

        actor(actor_name=name)(tell)

    for name in ("succeeded", "failed", "exhausted"):
        callback(name)
    return told


def declare(work: Callable[..., Any], **options: Any) -> Any:
    callbacks = {"on_success": "succeeded", "on_failure": "failed", "on_retry_exhausted": "exhausted"}
    return actor(**{"actor_name": "charge", "min_backoff": 1, **callbacks, **options})(work)


def fail() -> NoReturn:
    raise ValueError("no")


def drain_all() -> None:
    drain(with_delays=True, raises=False)


def told(reports: Reports) -> list[tuple[str, Any]]:
    return [(name, outcome) for name, _, outcome in reports]


def failure(reason: str, kind: str = "ValueError", message: str = "no") -> dict[str, str]:
    return {"reason": reason, "type": kind, "message": message}


def test_a_success_is_told_with_the_message_and_its_result(stub_broker: StubBroker, reports: Reports) -> None:
    def charge() -> int:
        return 999

    message = declare(charge).send()
    drain_all()

    assert told(reports) == [("succeeded", 999)]
    assert reports[0][1]["message_id"] == message.message_id


@pytest.mark.parametrize(
    ("options", "reason", "exhausted"),
    [
        ({"max_retries": 2}, "exhausted", {"retries": 2, "max_retries": 2}),
        ({"max_retries": 0}, "exhausted", {"retries": 0, "max_retries": 0}),
        ({"retry_when": lambda retries, error: False}, "predicate", {"retries": 0, "max_retries": 5}),
        ({"throws": ValueError}, "throws", None),
        ({"max_age": 60_000, "min_backoff": 60_000}, "expired", {"retries": 0, "max_retries": 5}),
    ],
)
def test_a_failure_is_told_once_however_many_attempts_it_took(
    reports: Reports, options: dict[str, Any], reason: str, exhausted: dict[str, int] | None
) -> None:
    declare(fail, **options).send()
    drain_all()

    expected: list[tuple[str, Any]] = [("failed", failure(reason))]
    assert sorted(told(reports)) == sorted([*expected, *([("exhausted", exhausted)] if exhausted else [])])


def test_a_message_that_expires_before_its_first_attempt_has_not_exhausted_its_retries(
    stub_broker: StubBroker, reports: Reports
) -> None:
    declare(fail, max_age=1_000)
    stub_broker.enqueue(dramatiq.Message("default", "charge", (), {}, {}, message_timestamp=0))
    drain_all()

    ((name, outcome),) = told(reports)
    assert (name, outcome["reason"], outcome["type"]) == ("failed", "expired", "Expired")


def test_a_conflict_is_told(reports: Reports) -> None:
    charge = actor(actor_name="charge", idempotency_key="1", on_failure="failed")(lambda cents: None)
    charge.send(1)
    charge.send(2)
    drain_all()

    ((name, outcome),) = told(reports)
    assert (name, outcome["reason"], outcome["type"]) == ("failed", "conflict", "Conflict")


def test_arguments_that_do_not_fit_are_told(stub_broker: StubBroker, reports: Reports) -> None:
    def charge(on: date) -> None: ...

    declare(charge)
    stub_broker.enqueue(dramatiq.Message("default", "charge", ("someday",), {}, {}))
    drain_all()

    ((name, outcome),) = told(reports)
    assert (name, outcome["reason"]) == ("failed", "undecodable")


def test_an_unknown_actor_is_told_to_whom_the_message_itself_names(stub_broker: StubBroker, reports: Reports) -> None:
    stub_broker.enqueue(dramatiq.Message("default", "chrage", (), {}, {"on_failure": "failed"}))
    drain_all()

    assert told(reports) == [("failed", failure("unknown_actor", "ActorNotFound", "chrage"))]


def test_a_middleware_that_fails_a_message_without_a_word_is_told(stub_broker: StubBroker, reports: Reports) -> None:
    class Refuse(Middleware):
        def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
            if message.actor_name == "charge":
                message.fail()
                raise SkipMessage("not today")

    stub_broker.add_middleware(Refuse())
    declare(fail).send()
    drain_all()

    assert told(reports) == [("failed", failure("", "SkipMessage", "not today"))]


def test_a_retry_is_no_end(reports: Reports) -> None:
    failures = iter([ValueError("once"), None])

    def charge() -> None:
        error = next(failures)
        if error is not None:
            raise error

    declare(charge).send()
    drain_all()

    assert told(reports) == [("succeeded", None)]


def test_a_copy_of_a_message_that_has_failed_tells_it_under_the_same_id(
    stub_broker: StubBroker, reports: Reports
) -> None:
    message = declare(fail, max_retries=1).send()
    drain_all()
    stub_broker.enqueue(message)
    drain_all()

    assert sorted(told(reports)) == [
        ("exhausted", {"retries": 1, "max_retries": 1}),
        ("failed", failure("exhausted")),
    ]


def test_a_copy_of_an_earlier_attempt_tells_the_success_under_the_same_id(
    stub_broker: StubBroker, reports: Reports
) -> None:
    failures = iter([ValueError("once"), None])

    def charge() -> None:
        error = next(failures)
        if error is not None:
            raise error

    message = declare(charge).send()
    drain_all()
    stub_broker.enqueue(message)
    drain_all()

    assert told(reports) == [("succeeded", None)]


def test_a_message_may_name_another_actor_than_its_own(reports: Reports) -> None:
    charge: Any = actor(actor_name="charge", on_failure="succeeded", max_retries=0)(fail)
    charge.send_with_options(on_failure="failed")
    drain_all()

    assert told(reports) == [("failed", failure("exhausted"))]


def test_without_a_callback_nothing_is_sent(stub_broker: StubBroker, reports: Reports) -> None:
    actor(actor_name="charge", max_retries=0)(fail).send()
    drain_all()

    assert told(reports) == []


def test_a_message_of_the_largest_size_is_told_too(stub_broker: StubBroker, reports: Reports) -> None:
    def charge(text: str) -> None:
        raise ValueError(text)

    message = declare(charge, max_retries=1).send("x" * 130_000)
    drain_all()

    assert sorted(name for name, _, _ in reports) == ["exhausted", "failed"]
    assert {told["message_id"] for _, told, _ in reports} == {message.message_id}
