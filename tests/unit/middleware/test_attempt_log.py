"""One line an attempt, whatever becomes of it."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import dramatiq
import pytest

from actors import actor, assembly
from actors.testing import StubBroker, drain
from middleware import AttemptLog, Attempts, Ended
from middleware.attempt_log import fields_of
from middleware.keys import digest
from tests.conformance.stores.subject import claim


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """Return a function that returns the lines, as their fields with the level."""
    caplog.set_level("INFO", "middleware.attempt_log")

    def read() -> list[dict[str, Any]]:
        records = [record for record in caplog.records if hasattr(record, "attempt")]
        return [{**record.attempt, "level": record.levelname} for record in records]

    return read


def counts(broker: StubBroker) -> dict[str, int]:
    [attempts] = [each for each in broker.middleware if isinstance(each, Attempts)]
    [log] = [each for each in attempts.listeners if isinstance(each, AttemptLog)]
    return dict(log.counts)


def test_a_job_that_is_done_is_one_line(stub_broker: StubBroker, lines: Any) -> None:
    before = counts(stub_broker)

    @actor(idempotency_key="order:{number}")
    def charge(number: int) -> None:
        pass

    message = charge.send(4711)
    drain()

    [line] = lines()
    assert line["duration_ms"] >= 0
    assert 0 <= line["wait_ms"] < 60_000
    assert {name: line[name] for name in ("level", "message_id", "actor", "queue", "attempt", "outcome", "key")} == {
        "level": "INFO",
        "message_id": message.message_id,
        "actor": "charge",
        "queue": "default",
        "attempt": 1,
        "outcome": "done",
        "key": digest("charge", "order:4711"),
    }
    assert "4711" not in str({name: value for name, value in line.items() if name not in ("worker", "duration_ms")})
    assert counts(stub_broker).get("done", 0) - before.get("done", 0) == 1


def test_each_attempt_that_fails_is_a_line_with_its_traceback(
    stub_broker: StubBroker, lines: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @actor(max_retries=1, min_backoff=1_000, jitter=False)
    def fail() -> None:
        raise LookupError("no order 7")

    fail.send()
    drain(raises=False, with_delays=True)

    first, second = lines()
    assert [(each["attempt"], each["outcome"], each["decided_by"]) for each in (first, second)] == [
        (1, "retried", "policy"),
        (2, "dead", "max_retries"),
    ]
    assert (first["delay_ms"], first["error_type"], first["error"]) == (1_000, "LookupError", "no order 7")
    assert (first["level"], second["level"]) == ("WARNING", "WARNING")
    for record in caplog.records:
        if hasattr(record, "attempt"):
            assert record.exc_info is not None
            assert isinstance(record.exc_info[1], LookupError)


def test_a_duplicate_and_one_that_waits_did_not_run(stub_broker: StubBroker, lines: Any) -> None:
    @actor
    def charge() -> None:
        pass

    message = charge.send()
    drain()
    stub_broker.enqueue(message)
    drain()
    waiting = charge.message()
    claim(
        assembly.store(),
        key=waiting.message_id,
        digest=digest("charge", waiting.message_id),
        owner=waiting.message_id,
        lease_ms=10_000,
    )
    stub_broker.enqueue(waiting)
    drain()

    assert [(each["outcome"], each["level"]) for each in lines()] == [
        ("done", "INFO"),
        ("duplicate", "INFO"),
        ("later", "INFO"),
    ]


def test_the_wait_is_that_of_the_attempt_and_leaves_out_what_was_asked_for(
    stub_broker: StubBroker, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    @actor
    def charge() -> None:
        pass

    charge.send_with_options(delay=timedelta(hours=1))
    drain(with_delays=True)

    [line] = lines()
    assert line["wait_ms"] < 60_000


def test_an_error_that_can_not_be_written_is_named_without_its_traceback(
    stub_broker: StubBroker, lines: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "dramatiq")  # whose own line about it can't be written
    caplog.set_level("INFO", "middleware.attempt_log")

    @actor(max_retries=0)
    def fail() -> None:
        raise ValueError("\udce9" * 10)

    fail.send()
    drain(raises=False)

    [line] = lines()
    assert (line["error_type"], line["error"]) == ("ValueError", "\\udce9" * 10)
    assert [record.exc_info for record in caplog.records if hasattr(record, "attempt")] == [None]


def test_arguments_are_told_where_they_are_asked_for_and_cut(caplog: pytest.LogCaptureFixture) -> None:
    log = AttemptLog(arguments=lambda: True)

    with caplog.at_level("INFO", "middleware.attempt_log"):
        log([ended(42, "é", order={"id": 7}), ended("x" * 5_000), ended()])

    first, second, third = (vars(record)["attempt"] for record in caplog.records)
    assert (first["args"], first["kwargs"]) == ('[42, "é"]', '{"order": {"id": 7}}')
    assert (len(second["args"]), "kwargs" in second) == (1_000, False)
    assert not third.keys() & {"args", "kwargs"}


def test_a_redaction_has_the_last_word_on_fields_text_and_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def redact(fields: dict[str, Any]) -> dict[str, Any]:
        return {name: value.replace("4711", "…") if name in TEXTS else value for name, value in fields.items()}

    log = AttemptLog(arguments=lambda: True, redact=lambda: redact)
    with caplog.at_level("INFO", "middleware.attempt_log"):
        log([ended("4711", error=raised(LookupError("no order 4711")))])

    [record] = caplog.records
    text = logging.Formatter().format(record)
    assert "4711" not in text + str(vars(record)["attempt"])
    assert text.startswith('attempt 1 of message m1 of work: retried, 1.2 ms args=["…"]\nTraceback')
    assert text.endswith("LookupError: no order …")
    assert vars(record)["attempt"]["exception"].endswith("LookupError: no order …")
    assert record.exc_info is None


def test_a_redaction_that_leaves_the_traceback_alone_leaves_the_error_to_trackers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def redact(fields: dict[str, Any]) -> None:
        fields.pop("args", None)

    error = raised(LookupError("no order"))
    with caplog.at_level("INFO", "middleware.attempt_log"):
        AttemptLog(arguments=lambda: True, redact=lambda: redact)([ended(7, error=error)])

    [record] = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert not vars(record)["attempt"].keys() & {"args", "exception"}


@pytest.mark.parametrize("result", [KeyError("secret"), 7, {1: "x"}], ids=["it raises", "a number", "a number in it"])
def test_a_redaction_that_fails_costs_a_line_what_may_be_private(result: Any, caplog: pytest.LogCaptureFixture) -> None:
    def redact(fields: dict[str, Any]) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    with caplog.at_level("INFO", "middleware.attempt_log"):
        AttemptLog(arguments=lambda: True, redact=lambda: redact)([ended("secret", error=raised(ValueError("secret")))])

    [record] = caplog.records
    text = logging.Formatter().format(record)
    failed = type(result).__name__ if isinstance(result, Exception) else "TypeError"
    assert "secret" not in text + str(vars(record)["attempt"])
    assert text == f"attempt 1 of message m1 of work: retried, 1.2 ms redaction_failed={failed}"
    assert vars(record)["attempt"]["error_type"] == "ValueError"


def test_a_line_names_its_trace_and_what_its_message_has_brought() -> None:
    one = ended()
    vars(one.message).update(trace_ids=("0af7", "b7ad"), log_context={"tenant": 7, "actor": "never"})

    fields = fields_of(one, "")

    assert (fields["trace_id"], fields["span_id"], fields["tenant"], fields["actor"]) == ("0af7", "b7ad", 7, "work")


TEXTS = ("args", "error", "exception")


def ended(*args: Any, error: BaseException | None = None, **kwargs: Any) -> Ended:
    message = dramatiq.MessageProxy(dramatiq.Message[Any]("default", "work", args, kwargs, {}, message_id="m1"))
    return Ended(message, "done" if error is None else "retried", error, 3, 1.2, 1_790_000_000.5)


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error):
        return error


def test_nothing_is_made_of_a_line_that_nobody_wants(
    stub_broker: StubBroker, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger("middleware.attempt_log").setLevel(logging.WARNING)

    @actor
    def charge() -> None:
        pass

    charge.send()
    drain()

    assert lines() == []
    assert counts(stub_broker)["done"] >= 1
