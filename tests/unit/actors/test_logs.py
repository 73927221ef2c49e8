"""The lines of a batch are written at once, and are the same whichever way they are written."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import dramatiq
import pytest

from actors import logs
from middleware import AttemptLog, Ended
from middleware.attempt_log import log as attempts


class Stream(io.StringIO):
    """Counts how often it is written to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


@contextmanager
def one_handler() -> Iterator[Stream]:
    """Yield what the one handler of the root logger writes to, as in a worker; pytest has its own there."""
    stream, root, level = Stream(), logging.getLogger(), attempts.level
    handlers, root.handlers = root.handlers, [logging.StreamHandler(stream)]
    attempts.setLevel(logging.INFO)
    try:
        yield stream
    finally:
        root.handlers = handlers
        attempts.setLevel(level)
        logs._json_handlers.clear()


def ended(
    outcome: str = "done",
    error: BaseException | None = None,
    name: str = "work",
    message_id: str = "m1",
    options: dict[str, Any] | None = None,
) -> Ended:
    options = options or {}
    message = dramatiq.MessageProxy(dramatiq.Message[Any]("default", name, (), {}, options, message_id=message_id))
    return Ended(message, outcome, error, 3, 1.25, 1_790_000_000.5)


def test_the_lines_of_a_batch_are_one_write() -> None:
    with one_handler() as stream:
        AttemptLog(together=logs.together)([ended(), ended("duplicate"), ended("retried", LookupError("no order"))])

        lines = stream.getvalue().splitlines()
        assert lines[:2] == [
            "attempt 1 of message m1 of work: done, 1.2 ms",
            "attempt 1 of message m1 of work: duplicate, 1.2 ms",
        ]
        assert "LookupError: no order" in lines
        assert stream.writes == 1


TICK = {"tick": {"schedule": "nightly", "time": "2026-09-21T14:13:20+00:00"}}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": "wörk \udce9"},
        {"message_id": "m\u00ef \udce9"},
        {"message_id": "m" * 300, "name": "n" * 300},
        {"options": TICK},
        {"options": {"retries": 2}, "outcome": "duplicate"},
    ],
)
def test_a_line_is_the_same_whether_it_is_written_past_the_logging_module_or_not(fields: dict[str, Any]) -> None:
    with one_handler() as stream:
        logs.write_json()
        log = AttemptLog(version=lambda: "build 7", together=logs.together)

        log([ended(**fields)])
        attempts.addFilter(every_line)
        log([ended(**fields)])
        attempts.removeFilter(every_line)

        past, through = map(json.loads, stream.getvalue().splitlines())
        assert past.pop("timestamp") == "2026-09-21T14:13:20.500000Z"
        assert "timestamp" in through
        del through["timestamp"]
        assert past == through
        assert past["version"] == "build 7"


def test_what_failed_keeps_its_place_and_its_traceback() -> None:
    with one_handler() as stream:
        logs.write_json()

        AttemptLog(together=logs.together)([ended(), ended("dead", LookupError("no order")), ended("skipped")])

        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert [(line["outcome"], line["level"]) for line in lines] == [
            ("done", "info"),
            ("dead", "warning"),
            ("skipped", "info"),
        ]
        assert "LookupError: no order" in lines[1]["exception"]
        assert stream.writes == 1


def test_what_a_redaction_has_made_of_a_line_is_written_whatever_it_is() -> None:
    def redact(fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "exception": "…", "decimal": Decimal("1.5")}

    with one_handler() as stream:
        logs.write_json()

        AttemptLog(together=logs.together, redact=lambda: redact)([ended(), ended("dead", LookupError("no order"))])

        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert [(line["exception"], line["decimal"]) for line in lines] == [("…", "1.5")] * 2


@pytest.mark.parametrize("filtered", ["logger", "handler"])
def test_a_filter_of_somebody_elses_has_its_say(filtered: str) -> None:
    with one_handler() as stream:
        logs.write_json()
        place: Any = attempts if filtered == "logger" else logging.getLogger().handlers[0]
        place.addFilter(no_line)

        AttemptLog(together=logs.together)([ended(), ended()])
        place.removeFilter(no_line)

        assert stream.getvalue() == ""


def test_a_stream_that_can_not_be_written_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with one_handler() as stream:

        def full(text: str) -> int:
            raise OSError("no space left")

        monkeypatch.setattr(stream, "write", full)
        monkeypatch.setattr(logging, "raiseExceptions", False)
        log = AttemptLog(together=logs.together)

        log([ended(), ended()])

        assert log.counts == {"done": 2}
        assert logging.getLogger().handlers[0].stream is stream  # type: ignore[attr-defined]


def every_line(_: logging.LogRecord) -> bool:
    return True


def no_line(_: logging.LogRecord) -> bool:
    return False
