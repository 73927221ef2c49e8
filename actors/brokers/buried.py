"""How a dead letter lies in its queue: the body as it was, and what is said of it in a header."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pika import BasicProperties

from actors.brokers.publisher import Publication
from actors.brokers.topology import Queue
from middleware.letter import Letter, read_letter

HEADER = "dead_letter"
# When it was put there, where that is not when it died: its retention counts from then.
RESTORED = "dead_letter_restored"
# The longest message id that AMQP can carry, in bytes.
LONGEST_ID = 255
# RabbitMQ's longest expiration, in milliseconds.
LONGEST_RETENTION_MS = 2**32 - 1


def bury(queue: Queue, body: bytes, letter: Letter, *, retention_ms: int | None) -> Publication:
    """Return what to publish so that *body* is among the dead letters in *queue*.

    Args:
        queue: the queue of dead letters.
        body: the message; of one that can't be decoded, byte for byte what was delivered.
        letter: what is said of it.
        retention_ms: after how many milliseconds RabbitMQ drops it; None for never.
    """
    message_id = letter.message_id
    if not message_id or len(message_id.encode("utf-8", "surrogatepass")) > LONGEST_ID:
        message_id = letter.id
    properties = BasicProperties(
        message_id=message_id,
        delivery_mode=2,
        headers={HEADER: letter.header()},
        expiration=None if retention_ms is None else str(min(retention_ms, LONGEST_RETENTION_MS)),
    )
    return Publication(queue.name, body, properties)


def rebury(queue: Queue, body: bytes, letter: Letter, *, retention_ms: int | None, now: int) -> Publication:
    """Return what to publish so that a dead letter is in *queue* again from *now* on, for *retention_ms* at most."""
    publication = bury(queue, body, letter, retention_ms=retention_ms)
    publication.properties.headers[RESTORED] = now
    return publication


def exhume(properties: BasicProperties, body: bytes, queue: str) -> Letter:
    """Return what is said of the dead letter with *properties* and *body*, found in that of logical *queue*."""
    headers = properties.headers or {}
    letter = Letter.from_header(headers.get(HEADER))
    if letter is not None:
        return letter
    read = read_letter(body, queue=queue, message_id=properties.message_id or "")
    # The time of the look is nothing that it says.
    return replace(read, died=_dead_lettered(headers.get("x-death")))


def expires(properties: BasicProperties, letter: Letter) -> int | None:
    """Return when RabbitMQ drops a dead letter, in milliseconds since the Unix epoch; None for never."""
    if not (properties.expiration or "").isdecimal():
        return None
    restored = (properties.headers or {}).get(RESTORED)
    return (restored if isinstance(restored, int) else letter.died) + int(properties.expiration)


@dataclass(frozen=True, slots=True, eq=False)
class Buried:
    """A dead letter as RabbitMQ delivered it.

    Attributes:
        queue: the logical queue.
        found_in: the physical queue that it came from.
        letter: what is said of it.
        ack: takes it from its queue for good; that of a closed channel is delivered again.
    """

    queue: str
    found_in: str
    letter: Letter
    properties: BasicProperties
    body: bytes
    ack: Callable[[], None]

    @property
    def expires(self) -> int | None:
        """When RabbitMQ drops it, in milliseconds since the Unix epoch; None for never."""
        return expires(self.properties, self.letter)

    @property
    def found(self) -> Mapping[str, Any]:
        """What else RabbitMQ has said of it, for people: it is RabbitMQ's to say again."""
        headers = {
            name: value for name, value in (self.properties.headers or {}).items() if name not in (HEADER, RESTORED)
        }
        found = {"message_id": self.properties.message_id, "content_type": self.properties.content_type}
        return found | {"headers": headers}


def _dead_lettered(deaths: object) -> int:
    """Return when RabbitMQ has dead-lettered a message by itself, in milliseconds; 0 where it does not say."""
    newest = deaths[0] if isinstance(deaths, list) and deaths else None
    time = newest.get("time") if isinstance(newest, dict) else None
    # In UTC, as AMQP has it, although pika does not say so.
    return int(time.replace(tzinfo=UTC).timestamp() * 1000) if isinstance(time, datetime) else 0
