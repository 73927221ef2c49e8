"""Why a message has failed, in words that it can carry, whatever its error is made of."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import dramatiq
import pytest
from dramatiq.errors import ActorNotFound

from actors.encoding import Encoder
from middleware.failure import LONGEST, Failure, Reason, failure_of, give_up, text_of, traceback_in


class Unspeakable(Exception):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __str__(self) -> NoReturn:
        raise self.error


class NoText(Exception):
    def __str__(self) -> str:
        return 42  # type: ignore[return-value]


class Endless(Exception):
    def __str__(self) -> str:
        return str(self)


def proxy(**options: Any) -> dramatiq.MessageProxy:
    return dramatiq.MessageProxy(dramatiq.Message("default", "charge", (), {}, options))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no"), "no"),
        (ValueError(), ""),
        (ValueError("日本\n"), "日本\n"),
        (Unspeakable(ValueError("no")), "(its str() raised ValueError)"),
        (Unspeakable(SystemExit(3)), "(its str() raised SystemExit)"),
        (Unspeakable(KeyboardInterrupt()), "(its str() raised KeyboardInterrupt)"),
        (NoText(), "(its str() raised TypeError)"),
        (Endless(), "(its str() raised RecursionError)"),
        (FileNotFoundError("caf\udce9.txt"), "caf\\udce9.txt"),
    ],
)
def test_the_text_of_an_error_can_be_published_whatever_it_is(error: BaseException, text: str) -> None:
    assert text_of(error) == text
    assert Encoder().decode(Encoder().encode({"text": text_of(error)}))["text"] == text


def test_a_text_is_cut() -> None:
    assert text_of("x" * 10_000_000) == "x" * LONGEST
    assert text_of("\udce9" * 10, 12) == "\\udce9\\udce9"
    assert Failure.of(ValueError("x" * 10_000_000)).message == "x" * LONGEST


@pytest.mark.parametrize("failure", [Failure("", "", ""), Failure(Reason.PREDICATE, "ValueError", 'say "no"\n日本')])
def test_a_failure_is_kept_as_text(failure: Failure) -> None:
    assert Failure.from_text(failure.text()) == failure


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("ConnectionError: busy", Failure("", "Failure", "ConnectionError: busy")),
        ("", Failure("", "Failure", "")),
        ("[1]", Failure("", "Failure", "[1]")),
        ("null", Failure("", "Failure", "null")),
        ("{}", Failure("", "", "")),
        ('{"reason": 7, "type": null, "more": 1}', Failure("7", "None", "")),
    ],
)
def test_any_other_text_is_a_failure_too(text: str, failure: Failure) -> None:
    assert Failure.from_text(text) == failure


def test_a_message_that_is_given_up_says_why() -> None:
    message = proxy()

    give_up(message, Failure(Reason.EXPIRED, "Expired", "too old"))

    assert message.failed
    assert json.loads(json.dumps(message.options)) == {
        "failure": {"reason": "expired", "type": "Expired", "message": "too old"},
        "traceback": "too old",
    }
    assert failure_of(message) == Failure("expired", "Expired", "too old")


def test_a_message_that_is_given_up_may_have_a_traceback() -> None:
    message = proxy()

    give_up(message, Failure.of(ValueError("no")), traceback="Traceback: no")

    assert message.options["traceback"] == "Traceback: no"


@pytest.mark.parametrize("noted", [None, [], "x", 7, [["reason", "exhausted"]]])
def test_what_is_no_failure_is_none_and_the_error_counts(noted: object) -> None:
    message = proxy(failure=noted, traceback=["x"])

    assert failure_of(message) == Failure("", "Failure", "['x']")
    message.stuff_exception(Unspeakable(ValueError()))
    assert failure_of(message) == Failure("", "Unspeakable", "(its str() raised ValueError)")
    message.stuff_exception(ActorNotFound("chrage"))
    assert failure_of(message) == Failure("unknown_actor", "ActorNotFound", "chrage")


def test_a_failure_that_is_noted_in_other_types_is_text() -> None:
    assert failure_of(proxy(failure={"reason": 1, "type": ["x"]})) == Failure("1", "['x']", "")


def test_a_record_keeps_the_failure_and_the_end_of_its_traceback() -> None:
    failure = Failure(Reason.EXHAUSTED, "LookupError", "no order 7")
    text = failure.text("x" * 5_000 + "LookupError: no order 7")
    assert Failure.from_text(text) == failure
    assert traceback_in(text).endswith("xLookupError: no order 7")
    assert len(traceback_in(text)) == 4_000
    assert traceback_in(failure.text()) == traceback_in("no JSON") == traceback_in("[1]") == ""
