"""The one line that tells of a dead letter."""

from contextvars import ContextVar
from typing import Any

import pytest
from dramatiq.middleware import SkipMessage

from middleware import DeadLetter, Letter

LETTER = Letter(
    id="1",
    message_id="m1",
    queue="default",
    reason="exhausted",
    error_type="LookupError",
    error="no order",
    fingerprint="0123456789abcdef",
    died=1,
    actor="charge",
)


def skipped(cause: Exception | None) -> SkipMessage:
    try:
        raise SkipMessage("refused") from cause
    except SkipMessage as error:
        return error


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        pytest.param(error := LookupError("no order"), error, id="an error"),
        pytest.param(None, None, id="no error"),
        pytest.param(skipped(None), None, id="skipped"),
        pytest.param(skipped(cause := ValueError("no date")), cause, id="skipped because of an error"),
    ],
)
def test_the_line_has_the_error_that_ended_the_message_and_all_fields(
    raised: Exception | None, told: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    dead_letter = DeadLetter()
    dead_letter.forwarded(LETTER, raised)
    [record] = caplog.records
    assert (record.name, record.levelname) == ("middleware.dead_letter", "ERROR")
    assert (record.exc_info and record.exc_info[1]) is told
    assert vars(record)["dead_letter"] == LETTER.header()
    assert dead_letter.counts == {"exhausted": 1}


def test_a_redaction_has_the_last_word_on_the_line_and_none_on_the_letter(caplog: pytest.LogCaptureFixture) -> None:
    def redact(fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "error": "…", "exception": "…"}

    DeadLetter(redact=lambda: redact).forwarded(LETTER, LookupError("no order"))

    [record] = caplog.records
    assert record.getMessage() == (
        "dead letter: message m1 of charge in queue default has failed for good (exhausted): LookupError: …\n…"
    )
    assert record.exc_info is None
    assert vars(record)["dead_letter"] == {**LETTER.header(), "error": "…", "exception": "…"}
    assert LETTER.error == "no order"


def test_a_redaction_that_fails_costs_the_line_the_error_and_the_key(caplog: pytest.LogCaptureFixture) -> None:
    def redact(fields: dict[str, Any]) -> dict[str, Any]:
        raise KeyError("no order")

    DeadLetter(redact=lambda: redact).forwarded(LETTER, LookupError("no order"))

    [record] = caplog.records
    assert record.getMessage() == (
        "dead letter: message m1 of charge in queue default has failed for good (exhausted): LookupError: … "
        "redaction_failed=KeyError"
    )
    assert record.exc_info is None
    assert not vars(record)["dead_letter"].keys() & {"error", "key"}


seen: ContextVar[object] = ContextVar("seen", default=None)


def test_a_tracker_that_has_seen_the_error_of_the_attempt_does_not_take_the_report_for_a_copy(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given one that, as Sentry's does, remembers in a context variable what it has seen last
    told = []

    def emit(record: object) -> None:
        if seen.get() is not error:
            told.append(record)

    monkeypatch.setattr(caplog.handler, "emit", emit)
    error = LookupError("no order")
    seen.set(error)
    DeadLetter().forwarded(LETTER, error)
    assert len(told) == 1


def test_a_tracker_that_raises_does_not_end_the_thread_that_reports(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def emit(record: object) -> None:
        raise ConnectionError("the tracker is away")

    monkeypatch.setattr(caplog.handler, "emit", emit)
    DeadLetter().forwarded(LETTER)
    assert "ConnectionError: the tracker is away" in capsys.readouterr().err
