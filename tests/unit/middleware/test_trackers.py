"""What of Sentry's events is left, whatever it has in them."""

import logging
from typing import Any

import pytest
from dramatiq.errors import ActorNotFound

from middleware import once_per_failure

LETTER = {
    "actor": "charge",
    "queue": "default",
    "reason": "exhausted",
    "message_id": "m1",
    "version": "",
    "fingerprint": "0123456789abcdef",
    "key": "charge:42",
}


def record(name: str, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.ERROR, __file__, 1, "text", None, None)
    made.__dict__.update(extra)
    return made


def caught_by(mechanism: str | None) -> dict[str, Any]:
    return {"exception": {"values": [{"type": "ValueError", "mechanism": mechanism and {"type": mechanism}}]}}


def test_a_dead_letter_is_told_with_its_tags_its_group_and_all_there_is_to_say() -> None:
    event = {"extra": {"dead_letter": LETTER, "asctime": "now"}, "tags": [("host", "a")], "contexts": {"trace": {}}}
    assert once_per_failure(event, {"log_record": record("middleware.dead_letter", dead_letter=LETTER)}) == {
        "tags": {"host": "a", "actor": "charge", "queue": "default", "reason": "exhausted", "message_id": "m1"},
        "contexts": {"trace": {}, "dead_letter": LETTER},
        "extra": {"asctime": "now"},
        "fingerprint": ["charge", "0123456789abcdef"],
    }


def test_a_dead_letter_without_an_actor_belongs_to_its_queue() -> None:
    letter = LETTER | {"actor": ""}
    event: dict[str, Any] = {}
    assert once_per_failure(event, {"log_record": record("middleware.dead_letter", dead_letter=letter)}) is event
    assert event["fingerprint"] == ["default", "0123456789abcdef"]
    assert "actor" not in event["tags"]


@pytest.mark.parametrize(
    ("event", "hint"),
    [
        pytest.param(caught_by("dramatiq"), {}, id="Sentry's integration"),
        pytest.param(caught_by("logging"), {"log_record": record("dramatiq.worker.WorkerThread")}, id="the worker"),
        pytest.param(
            caught_by("logging"),
            {
                "log_record": record("dramatiq.worker.ConsumerThread(default)"),
                "exc_info": (ActorNotFound, ActorNotFound("x"), None),
            },
            id="an unknown actor",
        ),
    ],
)
def test_an_attempt_is_not_told(event: dict[str, Any], hint: dict[str, Any]) -> None:
    assert once_per_failure(event, hint) is None


@pytest.mark.parametrize(
    ("event", "hint"),
    [
        pytest.param(caught_by("logging"), {"log_record": record("shop")}, id="a log line"),
        pytest.param(caught_by("django"), {}, id="a web request"),
        pytest.param(caught_by(None), {}, id="an error of unknown origin"),
        pytest.param({}, {"log_record": record("dramatiq.worker.ConsumerThread(default)")}, id="a consumer's trouble"),
        pytest.param(
            {},
            {"log_record": record("dramatiq.worker.ConsumerThread"), "exc_info": (OSError, OSError(), None)},
            id="a consumer's error",
        ),
        pytest.param({"message": "hello"}, {}, id="a message"),
        pytest.param({"exception": None}, {}, id="no exception"),
    ],
)
def test_everything_else_stays_as_it_is(event: dict[str, Any], hint: dict[str, Any]) -> None:
    before = dict(event)
    assert once_per_failure(event, hint) is event
    assert event == before
