"""What is left of a message that plain Dramatiq has delayed."""

import json
from typing import Any

import dramatiq
import pytest

from actors.brokers.plain_delays import LATEST, taken_over

ETA = 1_767_225_600_000
FIELDS: dict[str, Any] = {
    "queue_name": "money.DQ",
    "actor_name": "charge",
    "args": [42, "äö", 0.1],
    "kwargs": {"note": "\ud800"},
    "options": {"redis_message_id": "x", "eta": ETA, "retries": 2},
    "message_id": "m1",
    "message_timestamp": ETA - 5_000,
}


def body(**changes: Any) -> bytes:
    return json.dumps(FIELDS | changes).encode()


def test_all_but_its_queue_and_its_time_stays() -> None:
    due, message_id, rest = taken_over(body(), "money")
    assert (due, message_id) == (ETA, "m1")
    options = {"redis_message_id": "x", "retries": 2}
    assert json.loads(rest) == FIELDS | {"queue_name": "money", "options": options}
    assert list(json.loads(rest)) == list(FIELDS)
    assert dramatiq.Message.decode(rest).queue_name == "money"


@pytest.mark.parametrize(
    ("eta", "due"),
    [
        (ETA + 0.2, ETA + 1),
        (0, 0),
        (-5, -5),
        (10**30, LATEST),
        (float("inf"), None),
        (float("nan"), None),
        (None, None),
        ("soon", None),
        ([], None),
    ],
)
def test_a_time_is_never_early_and_what_is_none_is_now(eta: Any, due: int | None) -> None:
    taken, _, rest = taken_over(body(options={"eta": eta}), "money")
    assert taken == due
    assert json.loads(rest)["options"] == {}


@pytest.mark.parametrize(
    "unread",
    [
        b"\xff\x00",
        b"",
        b"[]",
        b"7",
        b"[" * 100_000,
        body(options={}),
        body(options=None),
        body(options=[]),
        json.dumps({"options": {"eta": ETA}}).encode(),
    ],
)
def test_what_can_not_be_read_or_has_no_time_stays_as_it_is(unread: bytes) -> None:
    assert taken_over(unread, "money") == (None, None, unread)


@pytest.mark.parametrize("message_id", ["", "x" * 256, "\ud800", 7, None])
def test_an_id_that_amqp_can_not_carry_stays_in_the_body_alone(message_id: Any) -> None:
    due, found, rest = taken_over(body(message_id=message_id), "money")
    assert (due, found) == (ETA, None)
    assert json.loads(rest)["message_id"] == message_id
