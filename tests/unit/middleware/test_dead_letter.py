"""Each message that has failed for good is reported once, whatever it has failed of."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker as PlainBroker

from actors import actor, assembly
from actors.configuration import read
from actors.testing import StubBroker, drain
from middleware import DeadLetter, Letter, Retries, dead_letter, failure
from middleware.failure import Failure, Reason
from middleware.retries import LONGEST_TRACEBACK
from tests.unit.middleware import foreign


class Unspeakable(Exception):
    def __str__(self) -> NoReturn:
        raise SystemExit(3)

    __repr__ = __str__


class BadNotes(Exception):
    @property
    def __notes__(self) -> NoReturn:  # type: ignore[override]
        raise KeyError("notes")


def failing(error: BaseException, **options: Any) -> Any:
    def charge(number: int = 0) -> None:
        raise error

    return actor(**{"actor_name": "charge", "max_retries": 0, **options})(charge)


@pytest.fixture
def reports(caplog: pytest.LogCaptureFixture) -> Callable[[], list[logging.LogRecord]]:
    """Return a function that returns what was reported."""
    # Its own line about an error can't be written where the error can't. The level set last is that of what is kept.
    caplog.set_level(logging.CRITICAL, "dramatiq")
    caplog.set_level(logging.INFO, dead_letter.__name__)
    return lambda: [record for record in caplog.records if record.name == dead_letter.__name__]


@pytest.fixture
def counts(stub_broker: StubBroker) -> Counter[str]:
    """How many were reported, by reason."""
    stub_broker.dead_letter.counts.clear()
    return stub_broker.dead_letter.counts


Reports = Callable[[], list[logging.LogRecord]]


def letter_in(record: logging.LogRecord) -> Letter:
    said = Letter.from_header(record.dead_letter)  # type: ignore[attr-defined]
    assert said is not None
    return said


def test_a_message_that_has_failed_for_good_is_one_line_with_its_letter_and_its_error(
    stub_broker: StubBroker, reports: Reports, counts: Counter[str]
) -> None:
    error = LookupError("no order 7")
    message = failing(error, max_retries=2, min_backoff=1, max_backoff=1, idempotency_key="order-{number}").send(7)
    drain(raises=False, with_delays=True)

    (record,) = reports()
    assert (record.levelname, record.exc_info and record.exc_info[1]) == ("ERROR", error)
    assert record.getMessage() == (
        f"dead letter: message {message.message_id} of charge in queue default has failed for good (exhausted): "
        "LookupError: no order 7"
    )
    said = letter_in(record)
    assert (said.message_id, said.actor, said.queue, said.key) == (message.message_id, "charge", "default", "order-7")
    assert (said.reason, said.error_type, said.error, said.attempts) == ("exhausted", "LookupError", "no order 7", 3)
    assert said.worker.rpartition(":")[2].isdigit()
    assert counts == {"exhausted": 1}


def expire() -> Any:
    message = failing(ValueError(), max_age=1).message()
    return message.copy(message_timestamp=message.message_timestamp - 1_000)


def conflict() -> Any:
    charge: Any = actor(actor_name="charge", idempotency_key="one")(lambda number: None)
    charge.send(1)
    drain()
    return charge.message(2)


def unknown() -> Any:
    return dramatiq.Message("default", "nobody", (), {}, {})


def undecodable() -> Any:
    return failing(ValueError()).message().copy(options={"max_retries": "many"})


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: failing(ValueError()).message(), "exhausted"),
        (lambda: failing(ValueError(), retry_when=lambda attempt, error: False).message(), "predicate"),
        (lambda: failing(ValueError(), throws=ValueError).message(), "throws"),
        (expire, "expired"),
        (conflict, "conflict"),
        (unknown, "unknown_actor"),
        (undecodable, "undecodable"),
    ],
)
def test_each_reason_is_reported_and_counted_once(
    stub_broker: StubBroker, reports: Reports, counts: Counter[str], make: Callable[[], Any], reason: str
) -> None:
    foreign.send(stub_broker, make())
    drain(raises=False)

    assert [letter_in(record).reason for record in reports()] == [reason]
    assert counts == {reason: 1}
    (dead,) = stub_broker.dead_letters
    assert dead.options["failure"]["reason"] == reason
    assert dead.options["traceback"]


def test_what_succeeds_or_is_tried_again_is_not_reported(
    stub_broker: StubBroker, reports: Reports, counts: Counter[str]
) -> None:
    failing(ValueError(), max_retries=1, min_backoff=60_000).send()
    actor(actor_name="refund")(lambda: None).send()
    drain(raises=False)

    assert reports() == []
    assert counts == {}


@pytest.mark.parametrize(
    "error",
    [
        Unspeakable(),
        BadNotes("no"),
        ValueError("x" * 10_000_000),
        ValueError("\udce9" * 1_000),
        ExceptionGroup("many", [ValueError("x" * 10_000)] * 1_000),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_that_no_handler_can_write_is_reported_without_it(
    stub_broker: StubBroker, reports: Reports, error: Exception
) -> None:
    failing(error).send()
    drain(raises=False)

    (record,) = reports()
    assert letter_in(record).error_type == type(error).__name__
    assert len(logging.Formatter().format(record).encode()) < failure.LONGEST_TRACEBACK + LONGEST_TRACEBACK


def test_the_version_is_that_of_the_application_when_it_is_asked_for() -> None:
    version = iter("123")
    told = DeadLetter(version=lambda: next(version))
    dead = dramatiq.MessageProxy(dramatiq.Message("default", "charge", (), {}, {}))

    assert [told.letter_of(dead, "default").version for _ in range(2)] == ["1", "2"]
    assert told.letter_of_body(b"", ValueError(), "default", "").version == "3"


def test_the_version_in_a_setting_is_that_of_the_application(
    stub_broker: StubBroker, monkeypatch: pytest.MonkeyPatch, reports: Reports
) -> None:
    monkeypatch.setattr(assembly, "_settings", read({"app_version": "2026.1"}))
    failing(ValueError()).send()
    drain(raises=False)

    assert [letter_in(record).version for record in reports()] == ["2026.1"]


def test_a_letter_of_a_message_notes_its_failure_where_nobody_has() -> None:
    dead = dramatiq.MessageProxy(dramatiq.Message("default", "charge", (), {}, {}))
    dead.stuff_exception(LookupError("no"))

    DeadLetter().letter_of(dead, "default")

    assert dead.options == {
        "failure": {"reason": "", "type": "LookupError", "message": "no"},
        "traceback": "no",
    }


def test_a_letter_of_a_message_leaves_what_is_noted() -> None:
    noted = {"failure": {"reason": "throws", "type": "KeyError", "message": "1"}, "traceback": "Traceback: 1"}
    dead = dramatiq.MessageProxy(dramatiq.Message("default", "charge", (), {}, dict(noted)))
    dead.stuff_exception(LookupError("no"))

    said = DeadLetter().letter_of(dead, "default")

    assert dead.options == noted
    assert (said.reason, said.error_type) == ("throws", "KeyError")


def test_what_can_not_be_decoded_is_reported_without_an_actor(reports: Reports) -> None:
    told = DeadLetter()
    said = told.letter_of_body(b"\xff", ValueError("no JSON"), "default", "")

    told.forwarded(said)

    (record,) = reports()
    assert record.getMessage() == (
        "dead letter: message without id of no actor in queue default has failed for good (undecodable): "
        "ValueError: no JSON"
    )
    assert told.counts == {Reason.UNDECODABLE: 1}


@pytest.fixture
def plain(reports: Reports) -> Iterator[tuple[PlainBroker, DeadLetter]]:
    """Dramatiq's own broker, with a worker."""
    told = DeadLetter()
    broker = PlainBroker(middleware=[told, Retries()])
    worker = dramatiq.Worker(broker, worker_timeout=10, worker_threads=1)
    worker.start()
    yield broker, told
    worker.stop()


def test_on_plain_dramatiq_a_dead_letter_is_reported_once(
    plain: tuple[PlainBroker, DeadLetter], reports: Reports
) -> None:
    broker, told = plain

    def charge() -> None:
        raise LookupError("no")

    message = dramatiq.actor(broker=broker, max_retries=1, min_backoff=1, max_backoff=1)(charge).send()
    broker.join("default", timeout=10_000, fail_fast=False)

    (record,) = reports()
    said = letter_in(record)
    assert (said.message_id, said.reason, said.error_type) == (message.message_id, "exhausted", "LookupError")
    assert isinstance(record.exc_info and record.exc_info[1], LookupError)
    assert (told.counts, len(broker.dead_letters)) == ({"exhausted": 1}, 1)


def test_a_report_without_an_error_has_none(reports: Reports) -> None:
    message = dramatiq.Message[Any]("default", "charge", (), {}, {})
    DeadLetter().forwarded(Letter.of(message, Failure(Reason.POISON, "Poison", "poison"), queue="default"))

    assert [record.exc_info for record in reports()] == [None]
