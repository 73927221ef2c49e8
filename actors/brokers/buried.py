"""How a dead letter lies in its queue: the body as it was, and what is said of it in a header."""

from __future__ import annotations

from pika import BasicProperties

from actors.brokers.publisher import Publication
from actors.brokers.topology import Queue
from middleware.letter import Letter, read_letter

HEADER = "dead_letter"
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


def exhume(properties: BasicProperties, body: bytes, queue: str) -> Letter:
    """Return what is said of the dead letter with *properties* and *body*, found in that of logical *queue*."""
    letter = Letter.from_header((properties.headers or {}).get(HEADER))
    return letter or read_letter(body, queue=queue, message_id=properties.message_id or "")


def expires(properties: BasicProperties, letter: Letter) -> int | None:
    """Return when RabbitMQ drops a dead letter, in milliseconds since the Unix epoch; None for never."""
    if not properties.expiration:
        return None
    return letter.died + int(properties.expiration)
