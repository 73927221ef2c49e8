"""How a dead letter is published, and read again."""

from __future__ import annotations

from typing import Any

import dramatiq
import pytest
from pika import BasicProperties

from actors.brokers.buried import HEADER, LONGEST_ID, LONGEST_RETENTION_MS, bury, exhume, expires
from actors.brokers.topology import Queue
from middleware import Letter
from middleware.failure import Failure

QUEUE = Queue("default.XQ")
DIED = 1_800_000_000_000


def letter(message_id: str = "m1") -> Letter:
    message = dramatiq.Message[Any]("default", "charge", (), {}, {}, message_id=message_id, message_timestamp=DIED - 1)
    return Letter.of(message, Failure("throws", "KeyError", "1"), queue="default", died=DIED)


def sent(properties: BasicProperties) -> BasicProperties:
    """Return *properties* as they come back from RabbitMQ."""
    return BasicProperties().decode(b"".join(properties.encode()))


def test_a_dead_letter_is_its_body_and_what_is_said_of_it() -> None:
    buried = bury(QUEUE, b"\xff\x00", letter(), retention_ms=None)

    assert (buried.queue, buried.body) == ("default.XQ", b"\xff\x00")
    properties = sent(buried.properties)
    assert properties.headers is not None
    assert properties.headers[HEADER]["reason"] == "throws"
    assert (properties.message_id, properties.delivery_mode, properties.expiration) == ("m1", 2, None)
    assert exhume(properties, buried.body, "default") == letter()


@pytest.mark.parametrize(
    "message_id", ["", "x" * (LONGEST_ID + 1), "日" * 100, "x" * 100_000, "\ud800" * 300], ids=range(5)
)
def test_an_id_that_amqp_can_not_carry_is_replaced_by_the_letters(message_id: str) -> None:
    said = letter(message_id)
    properties = sent(bury(QUEUE, b"", said, retention_ms=None).properties)

    assert properties.message_id == said.id
    assert exhume(properties, b"", "default") == said


@pytest.mark.parametrize(
    ("message_id", "carried"),
    [("x" * LONGEST_ID, "x" * LONGEST_ID), ("日" * 85, "日" * 85), ("caf\udce9", "caf\\udce9")],
)
def test_any_other_id_is_that_of_the_message(message_id: str, carried: str) -> None:
    assert sent(bury(QUEUE, b"", letter(message_id), retention_ms=None).properties).message_id == carried


@pytest.mark.parametrize(
    ("retention_ms", "expiration"), [(1, "1"), (604_800_000, "604800000"), (10**15, str(LONGEST_RETENTION_MS))]
)
def test_a_dead_letter_that_is_not_kept_for_ever_expires(retention_ms: int, expiration: str) -> None:
    properties = sent(bury(QUEUE, b"", letter(), retention_ms=retention_ms).properties)

    assert properties.expiration == expiration
    assert expires(properties, letter()) == DIED + int(expiration)


@pytest.mark.parametrize("expiration", [None, ""])
def test_any_other_never_expires(expiration: str | None) -> None:
    assert expires(BasicProperties(expiration=expiration), letter()) is None


@pytest.mark.parametrize("headers", [None, {}, {HEADER: "letter"}, {HEADER: {"id": "x"}}, {"x-death": []}])
def test_what_another_has_put_there_is_read_from_its_body(headers: Any) -> None:
    message = dramatiq.Message[Any]("default", "charge", (), {}, {}, message_id="m1")
    body = message.encode()

    said = exhume(BasicProperties(headers=headers), body, "default")
    assert (said.message_id, said.actor, said.reason) == ("m1", "charge", "")
    said = exhume(BasicProperties(headers=headers, message_id="m2"), b"\xff", "default")
    assert (said.message_id, said.actor, said.reason) == ("m2", "", "undecodable")


def test_an_id_that_is_no_utf_8_is_text() -> None:
    # Which pika leaves as bytes.
    properties = sent(BasicProperties(message_id=b"\xff7"))
    said = exhume(properties, b"\xff", "default")

    assert said.message_id == "\\xff7"
    assert sent(bury(QUEUE, b"\xff", said, retention_ms=None).properties).message_id == "\\xff7"
