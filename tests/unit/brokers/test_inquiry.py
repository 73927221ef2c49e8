"""What relays are asked, and answer, as it travels."""

import json
from typing import Any

import pytest
from pika import BasicProperties

from actors.brokers.hold import Held
from actors.brokers.inquiry import ACTIONS, Answer, Delayed, Found, Inquiry

NOW = 1_767_225_600_000
FIELDS = {
    "queue_name": "default",
    "actor_name": "charge",
    "args": [],
    "kwargs": {},
    "options": {"retries": 3},
    "message_id": "in the body",
    "message_timestamp": NOW,
}


def delayed(body: bytes, headers: dict[str, Any] | None = None, message_id: str | None = "m1") -> Delayed:
    channel: Any = None
    return Delayed.of(Held(channel, 1, "hold.100", BasicProperties(message_id=message_id, headers=headers), body))


def test_what_is_shown_comes_from_the_headers_and_the_body() -> None:
    body = json.dumps(FIELDS).encode()
    headers = {"due": NOW, "look": NOW - 5, "queue": "money"}
    assert delayed(body, headers) == Delayed("m1", "charge", "money", NOW, 3, len(body), "hold.100")


@pytest.mark.parametrize(
    "body",
    [b"\xff", b"", b"[]", b"{}", b"[" * 100_000, json.dumps(FIELDS | {"options": 5}).encode()],
)
def test_a_body_that_can_not_be_decoded_has_a_place_and_a_time_all_the_same(body: bytes) -> None:
    headers = {"due": NOW, "queue": "money"}
    assert delayed(body, headers, message_id=None) == Delayed("", None, "money", NOW, 0, len(body), "hold.100")


@pytest.mark.parametrize("retries", ["many", None, [], 1.5])
def test_a_number_of_retries_that_is_none_is_not_shown(retries: Any) -> None:
    assert delayed(json.dumps(FIELDS | {"options": {"retries": retries}}).encode()).retries == 0


@pytest.mark.parametrize("action", ACTIONS)
def test_an_inquiry_arrives_as_it_was_sent(action: Any) -> None:
    inquiry = Inquiry(action, "hold.100.quorum", frozenset({"m1", "mä"}), took_ms=12)
    assert Inquiry.decode(inquiry.encode()) == inquiry


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b"7",
        b"[]",
        b"{}",
        json.dumps({"action": "explode", "hold_queue": "hold.100", "ids": [], "took_ms": 0}).encode(),
        json.dumps({"action": "list", "hold_queue": "hold.100", "ids": [[]], "took_ms": 0}).encode(),
        json.dumps({"action": "list", "hold_queue": "hold.100", "ids": 5, "took_ms": 0}).encode(),
        json.dumps({"action": "list", "hold_queue": "hold.100", "ids": [], "took_ms": None}).encode(),
    ],
)
def test_what_is_no_inquiry_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Inquiry.decode(body)


def test_an_answer_arrives_as_it_was_sent_and_may_say_more_than_is_understood() -> None:
    message = Delayed("m1", None, "money", NOW, 0, 7, "hold.100")
    answer = Answer([Found(message), Found(message, "full")])
    assert Answer.decode(answer.encode()) == answer
    newer = json.loads(answer.encode())
    newer["found"][0]["message"]["colour"] = "red"
    assert Answer.decode(json.dumps(newer).encode()) == answer


@pytest.mark.parametrize("body", [b"\xff", b"7", b"{}", b'{"found": 5}', b'{"found": [{}]}', b'{"found": [7]}'])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Answer.decode(body)
