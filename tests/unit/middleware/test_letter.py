"""What a dead letter says of its message, whatever that is made of."""

from __future__ import annotations

import json
import time
from typing import Any

import dramatiq
import pytest
from dramatiq.errors import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties

from middleware import Letter
from middleware.failure import Failure, Reason
from middleware.letter import LONGEST_ERROR, LONGEST_NAME, fingerprint_of, read_letter, replayed, replays_of

NOW = 1_800_000_000_000
# Anything that JSON can hold, also what is no Unicode.
TEXTS = st.text(st.characters(exclude_categories=()))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
OPTIONS = st.dictionaries(
    st.sampled_from(["attempts", "failure", "replays", "retries", "traceback"]),
    JSON | st.lists(st.fixed_dictionaries({"attempt": JSON, "at": JSON}), max_size=3),
)

# A busy machine is no error.

TRACEBACK = """Traceback (most recent call last):
  File "/srv/releases/{release}/shop/tasks.py", line {line}, in charge
    gateway.charge(order)
  File "/srv/releases/{release}/shop/gateway.py", line 8, in {function}
    raise GatewayBusy(order)
shop.gateway.GatewayBusy: {order}
"""


def message(message_id: Any = "m1", **options: Any) -> dramatiq.Message[Any]:
    return dramatiq.Message("default", "charge", (1,), {}, options, message_id=message_id, message_timestamp=NOW)


def letter(reason: str = Reason.EXHAUSTED, **options: Any) -> Letter:
    return Letter.of(message(**options), Failure(reason, "ValueError", "no"), queue="default")


def sent(header: Any) -> Any:
    """Return *header* as it comes back from RabbitMQ."""
    properties = BasicProperties(headers={"dead_letter": header})
    size = len(b"".join(properties.encode()))
    # What does not fit into one frame costs the connection.
    assert size < 100_000
    return BasicProperties().decode(b"".join(properties.encode())).headers["dead_letter"]


def test_a_letter_says_what_is_known_of_the_end_of_its_message() -> None:
    trail = [{"attempt": 1, "at": NOW + 1, "error": "x"}, {"attempt": 2, "at": NOW + 2, "error": "y"}]
    failed = message(attempts=trail, retries=2, replays=3, traceback="ValueError: no")

    said = Letter.of(
        failed,
        Failure(Reason.EXHAUSTED, "ValueError", "no"),
        queue="slow",
        key="order-1",
        died=NOW + 3,
        worker="host:1",
        version="7",
    )

    assert said.header() == {
        "id": said.id,
        "message_id": "m1",
        "queue": "slow",
        "reason": "exhausted",
        "error_type": "ValueError",
        "error": "no",
        "fingerprint": said.fingerprint,
        "died": NOW + 3,
        "actor": "charge",
        "key": "order-1",
        "attempts": 2,
        "replays": 3,
        "enqueued": NOW,
        "first": NOW + 1,
        "worker": "host:1",
        "version": "7",
    }


def test_a_letter_that_comes_back_from_rabbitmq_is_the_same() -> None:
    said = Letter.of(message(), Failure(Reason.THROWS, "日本", "no"), queue="default", died=NOW, key="k", version="1")

    # pika's long integers are of a class of their own.
    assert type(sent(said.header())["died"]) is not int
    back = Letter.from_header(sent(said.header()))
    assert back is not None
    assert back == said
    assert type(back.died) is int


def test_a_letter_of_an_older_version_lacks_what_has_a_default() -> None:
    said = letter()
    header = {name: value for name, value in said.header().items() if name not in ("key", "first", "version")}

    assert Letter.from_header(header) == said


@pytest.mark.parametrize(
    "header",
    [
        None,
        "letter",
        [],
        {},
        b"x",
        {**letter().header(), "died": "now"},
        {**letter().header(), "died": True},
        {**letter().header(), "reason": None},
        {**letter().header(), "reason": b"\xff"},
        {name: value for name, value in letter().header().items() if name != "id"},
    ],
)
def test_any_other_header_is_no_letter(header: object) -> None:
    assert Letter.from_header(header) is None


@given(JSON | st.dictionaries(st.sampled_from([*letter().header(), "more"]), JSON))
def test_no_header_whatever_is_in_it_is_an_error(header: object) -> None:
    said = Letter.from_header(header)

    assert said is None or Letter.from_header(said.header()) == said


@given(TEXTS, OPTIONS, st.builds(Failure, TEXTS, TEXTS, TEXTS), TEXTS, JSON)
def test_a_letter_can_be_sent_whatever_its_message_is_made_of(
    text: str, options: dict[str, Any], failure: Failure, key: str, timestamp: Any
) -> None:
    failed = message(text, **options).copy(actor_name=text, message_timestamp=timestamp)

    said = Letter.of(failed, failure, queue=text, key=key, worker=text, version=text, died=NOW)

    assert Letter.from_header(sent(said.header())) == said


@pytest.mark.parametrize("text", ["x" * 1_000_000, "\ud800" * 100_000, "日" * 300_000])
def test_a_letter_fits_into_a_frame_however_long_its_texts_are(text: str) -> None:
    failed = message(text).copy(actor_name=text)
    for said in (
        Letter.of(failed, Failure(text, text, text), queue=text, key=text, worker=text, version=text),
        Letter.of_body(b"", ValueError(text), queue=text, message_id=text, worker=text, version=text),
    ):
        assert Letter.from_header(sent(said.header())) == said
        assert len(said.message_id) <= LONGEST_NAME
        assert len(said.error) <= LONGEST_ERROR


@pytest.mark.parametrize("at", [-1, 2**63, 10**30, "now", None, True, 1.5])
def test_what_is_no_time_is_passed_over(at: object) -> None:
    said = letter(attempts=[{"attempt": 1, "at": at}, {"attempt": 2, "at": NOW}])

    assert said.first == NOW
    assert Letter.of(message().copy(message_timestamp=at), Failure("", "", ""), queue="q").enqueued == 0


@pytest.mark.parametrize(
    ("retries", "numbers", "attempts"),
    [(2, [1, 2], 2), (1, [1, 2, 3], 3), (0, [], 0), (0, [10**30], 2**31), (1, ["2", True, None, -5], 1)],
)
def test_it_was_tried_as_often_as_anything_in_its_message_says(retries: int, numbers: list[Any], attempts: int) -> None:
    trail = [{"attempt": number, "at": NOW} for number in numbers]

    assert letter(retries=retries, attempts=trail).attempts == attempts


def test_the_time_of_death_is_now_where_it_is_not_given() -> None:
    before = time.time_ns() // 1_000_000
    assert before <= letter().died <= before + 60_000


def test_all_copies_of_one_end_have_the_same_id_and_other_ends_others() -> None:
    ids = {
        letter().id,
        letter(retries=2, attempts=[{"attempt": 2}]).id,
        letter(replays=1).id,
        letter(message_id="m2").id,
    }

    assert letter().id in ids
    assert len(ids) == 3


def test_a_body_that_can_not_be_decoded_has_a_letter_with_an_id_of_its_own() -> None:
    def of(body: bytes, **options: Any) -> Letter:
        return Letter.of_body(body, DecodeError("bad", body, None), **{"queue": "default", "died": NOW, **options})

    said = of(b"\xff", message_id="m1", worker="host:1", version="7")

    assert (said.reason, said.error_type, said.actor, said.message_id) == ("undecodable", "DecodeError", "", "m1")
    assert (said.worker, said.version, said.died) == ("host:1", "7", NOW)
    assert of(b"\xff", message_id="m1").id == said.id
    assert len({said.id, of(b"\xfe", message_id="m1").id, of(b"\xff").id, of(b"\xff", queue="slow").id}) == 4


def test_what_another_has_put_there_is_read_from_its_body() -> None:
    failed = message(failure={"reason": "throws", "type": "KeyError", "message": "1"}, traceback="KeyError: 1")

    said = read_letter(failed.encode(), queue="default", died=NOW)

    assert (said.message_id, said.actor, said.reason, said.error_type, said.died) == (
        "m1",
        "charge",
        "throws",
        "KeyError",
        NOW,
    )
    plain = read_letter(message().encode(), queue="default")
    assert (plain.reason, plain.error_type) == ("", "Failure")


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b"{}", b"null", b'{"queue_name": 1, "options": []}', b'{"options": 7}']
)
def test_what_can_not_be_read_is_undecodable(body: bytes) -> None:
    said = read_letter(body, queue="default", message_id="m1")

    assert (said.reason, said.message_id) == ("undecodable", "m1")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(message().asdict(), JSON)))
def test_no_body_whatever_is_in_it_is_an_error(fields: dict[str, Any]) -> None:
    body = json.dumps({**message().asdict(), **fields}).encode()

    said = read_letter(body, queue="default")

    assert Letter.from_header(sent(said.header())) == said


@pytest.mark.parametrize(
    ("replays", "counted"),
    [(0, 0), (3, 3), (2**31, 2**31), (2**31 + 1, 0), (-1, 0), (True, 0), ("1", 0), (1.0, 0), (None, 0)],
)
def test_what_is_no_count_of_replays_is_none(replays: object, counted: int) -> None:
    assert replays_of(message(replays=replays)) == counted
    assert letter(replays=replays).replays == counted


def test_a_replay_keeps_what_the_message_was_sent_with_and_drops_its_failures() -> None:
    own = {"idempotency_key": "order-1", "max_retries": 3, "broker_priority": 1, "trace": {"id": 7}}
    of_its_end = {
        "attempts": [{"attempt": 1}],
        "due": NOW,
        "failure": {"reason": "exhausted"},
        "requeue_timestamp": NOW,
        "retries": 3,
        "suspect": True,
        "traceback": "ValueError",
    }

    again = replayed(message(**own, **of_its_end), now=NOW + 1)

    assert again == {"options": {**own, "replays": 1}, "message_timestamp": NOW + 1}
    assert replayed(message(replays=1), now=NOW)["options"] == {"replays": 2}


def test_a_replay_leaves_the_dead_letter_as_it_is() -> None:
    dead = message(retries=3)
    replayed(dead, now=NOW)

    assert dead.options == {"retries": 3}


def fingerprint(text: str = "no", traceback: str = "", type_: str = "GatewayBusy") -> str:
    return fingerprint_of(Failure("exhausted", type_, text), traceback)


def told(**others: Any) -> str:
    return TRACEBACK.format(**{"release": "r1", "line": 12, "function": "charge", "order": "order 7", **others})


def test_a_fingerprint_is_16_hexadecimal_digits() -> None:
    assert len(fingerprint()) == 16
    assert int(fingerprint(), 16) >= 0


@pytest.mark.parametrize(
    "others", [{"release": "r2"}, {"line": 40}, {"order": "order 8"}, {"release": "20260101/x", "line": 1}]
)
def test_errors_of_one_place_are_of_one_kind_whatever_line_and_folder_it_has(others: dict[str, Any]) -> None:
    assert fingerprint("order 7", told()) == fingerprint("another", told(**others))


def test_errors_of_other_functions_or_classes_are_of_other_kinds() -> None:
    kinds = {
        fingerprint("no", told()),
        fingerprint("no", told(function="refund")),
        fingerprint("no", told(), "ValueError"),
        fingerprint("no", told().replace("tasks.py", "jobs.py")),
        fingerprint("no"),
    }

    assert len(kinds) == 5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("order 7 of 9", "order 8 of 10"),
        ("no 'spam'", "no 'eggs'"),
        ('no "spam"', 'no "eggs"'),
        ("at 0x7f3a", "at 0xFF00"),
        ("job 1f0e8c1e-8a53-4f0c-9d5c-0c6a4b0f6f5e", "job 5b0f8a0c-7a0e-5d0a-8f0b-0c6a4b0f6f5f"),
        ("commit 0a1b2c3d4e", "commit ffffffffff"),
    ],
)
def test_errors_without_a_traceback_are_of_one_kind_whatever_numbers_and_ids_are_in_them(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other)


def test_errors_without_a_traceback_that_say_something_else_are_of_other_kinds() -> None:
    assert len({fingerprint("no order 7"), fingerprint("no customer 7"), fingerprint("")}) == 3


@given(TEXTS, TEXTS)
def test_any_text_has_a_fingerprint(text: str, traceback: str) -> None:
    assert len(fingerprint(text, traceback)) == 16
