"""Which dead letters are meant, the places of pages, and the lines of an archive."""

import base64
import json
from dataclasses import replace
from typing import Any

import dramatiq
import pytest
from pika import BasicProperties

from actors.brokers.buried import HEADER, RESTORED, Buried, bury, exhume, expires, rebury
from actors.brokers.topology import Queue
from actors.dead_letters import BadLine, Selection, line_of, read_line
from actors.dead_letters.rabbitmq.pages import Place
from middleware import Letter

LETTER = Letter(
    id="l1",
    message_id="m1",
    queue="default",
    reason="exhausted",
    error_type="ValueError",
    error="boom",
    fingerprint="00ff",
    died=1_000,
    actor="charge",
)
QUEUE = Queue("default.XQ")


def lying(letter: Letter = LETTER, body: bytes = b"{}", retention_ms: int | None = None) -> Buried:
    publication = bury(QUEUE, body, letter, retention_ms=retention_ms)
    return Buried(letter.queue, QUEUE.name, letter, publication.properties, body, lambda: None)


@pytest.mark.parametrize(
    "selection",
    [
        {},
        {"actors": ["charge"]},
        {"reasons": ["exhausted", "poison"]},
        {"error_types": ["ValueError"]},
        {"fingerprints": ["00ff"]},
        {"ids": ["l1"]},
        {"ids": ["m1", "m2"]},
        {"since": 1_000},
        {"until": 1_001},
        {"actors": ["charge"], "since": 999, "until": 1_001},
    ],
)
def test_a_letter_is_meant_if_all_conditions_hold(selection: dict[str, Any]) -> None:
    assert Selection(**selection).matches(LETTER)


@pytest.mark.parametrize(
    "selection",
    [
        {"actors": ["refund"]},
        {"reasons": [""]},
        {"error_types": ["Value"]},
        {"fingerprints": ["00"]},
        {"ids": ["l"]},
        {"since": 1_001},
        {"until": 1_000},
        {"actors": ["charge"], "ids": ["l2"]},
    ],
)
def test_a_letter_is_not_meant_if_one_does_not(selection: dict[str, Any]) -> None:
    assert not Selection(**selection).matches(LETTER)


def test_a_place_is_read_as_it_was_written() -> None:
    place = Place("default", "x.default.XQ", 7, 1_000, "l:1 ü")
    assert Place.read(place.text()) == place


@pytest.mark.parametrize("values", [[], ["q", "f", 1, 2], ["q", "f", "1", 2, "l"], {"queue": "q"}, None, 7])
def test_a_place_that_was_written_by_nobody_is_refused(values: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        Place.read(base64.urlsafe_b64encode(json.dumps(values).encode()).decode())


@pytest.mark.parametrize("body", [b'{"a": "\xc3\xa4\xe2\x80\xa8\\n"}', b"\xff\x00", b"", b"\xef\xbb\xbf{}", b"a\r\nb"])
def test_a_line_says_a_letter_and_its_body_byte_for_byte(body: bytes) -> None:
    line = line_of(lying(body=body, retention_ms=5_000))
    assert line.isascii()
    assert "\n" not in line
    archived = read_line(line)
    assert (archived.letter, archived.body, archived.expires) == (LETTER, body, 6_000)


def test_headers_of_others_are_in_a_line_for_people_to_read() -> None:
    buried = lying()
    buried.properties.headers |= {"x-death": [{"count": 1}], "blob": b"\xff", RESTORED: 5}
    assert json.loads(line_of(buried))["found"]["headers"] == {"x-death": [{"count": 1}], "blob": "b'\\xff'"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": 2}, "its version is 2, and only 1 is known here"),
        ({"letter": None}, "its 'letter' is not"),
        ({"letter": {"id": "l1"}}, "its 'letter' is not"),
        ({"letter": LETTER.header() | {"id": ""}}, "its 'letter' is not"),
        ({"letter": LETTER.header() | {"died": "1"}}, "its 'letter' is not"),
        ({"expires": "tomorrow"}, "its 'expires' is neither"),
        ({"expires": True}, "its 'expires' is neither"),
        ({"body": None}, "neither a 'body' nor a 'body_base64'"),
        ({"body_base64": "e30="}, "neither a 'body' nor a 'body_base64'"),
        ({"body": None, "body_base64": "?"}, "its body can't be read"),
        ({"body": "\ud800"}, "its body can't be read"),
    ],
)
def test_a_line_that_is_none_says_why(change: dict[str, Any], why: str) -> None:
    fields = json.loads(line_of(lying())) | change
    with pytest.raises(BadLine, match=why.split("'")[0]):
        read_line(json.dumps(fields))


@pytest.mark.parametrize("line", ["", "{", "[]", "null", b"\xff", "[" * 100_000])
def test_what_is_no_json_object_is_no_line(line: str | bytes) -> None:
    with pytest.raises(BadLine):
        read_line(line)


def test_a_retention_counts_from_the_death_or_from_when_a_letter_was_put_back() -> None:
    first = bury(QUEUE, b"{}", LETTER, retention_ms=5_000).properties
    again = rebury(QUEUE, b"{}", LETTER, retention_ms=2_000, now=4_000).properties
    assert (expires(first, LETTER), expires(again, LETTER)) == (6_000, 6_000)
    assert exhume(again, b"{}", "default") == LETTER
    assert expires(BasicProperties(expiration="soon"), LETTER) is None


def test_a_letter_without_a_header_has_no_time_of_death_of_its_own() -> None:
    message: dramatiq.Message[None] = dramatiq.Message("default", "charge", (), {}, {}, message_id="m")
    body = message.encode()
    letter = exhume(BasicProperties(headers={HEADER: "what is this"}), body, "default")
    assert (letter.died, letter.message_id, letter.actor) == (0, "m", "charge")
    assert letter == exhume(BasicProperties(), body, "default")
    assert letter == replace(letter, died=0)
