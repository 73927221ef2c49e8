"""Takes over what plain Dramatiq has delayed."""

from __future__ import annotations

import json
import logging
import math
import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from dramatiq.errors import BrokerError
from pika import BasicProperties
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker
from pika.spec import Basic

from actors.brokers.declarations import Declarations
from actors.brokers.hold import Held, Hold, now_ms
from actors.brokers.publisher import Publication
from actors.brokers.session import Session
from actors.brokers.topology import Queue
from actors.brokers.transfer import Transfer

log = logging.getLogger(__name__)

# How many messages of each queue are on their way at once.
PREFETCH = 32
# How soon a message is tried again that can't be moved on, in seconds.
AGAIN_AFTER_S = 1.6
# The latest time that AMQP has a number for.
LATEST = 2**63 - 1
# The longest message id that AMQP can carry, in bytes.
LONGEST_ID = 255


class PlainDelays:
    """Moves messages from where plain Dramatiq keeps them, to the same due time, on a channel of its own.

    Args:
        session: the relay's.
        declarations: makes hold queues and work queues exist, and names them.
        transfer: moves them.
    """

    def __init__(self, session: Session, declarations: Declarations, transfer: Transfer) -> None:
        self._session = session
        self._declarations = declarations
        self._transfer = transfer

    def open(self, queues: Sequence[tuple[str, Queue]]) -> None:
        """Consume *queues*, each beside its logical queue, until the session's channel ends."""
        channel = self._session.open_channel(partial(self._consume, queues))
        channel.add_on_close_callback(lambda _, error: _closed(error))

    def lost(self) -> None:
        """Forget what is on its way: the channel has ended, and RabbitMQ delivers it again."""
        self._transfer.abandon()

    def _consume(self, queues: Sequence[tuple[str, Queue]], channel: Channel) -> None:
        channel.basic_qos(prefetch_count=PREFETCH)
        for name, queue in queues:
            channel.basic_consume(queue.name, partial(self._take, name, queue))

    def _take(
        self,
        name: str,
        queue: Queue,
        channel: Channel,
        method: Basic.Deliver,
        properties: BasicProperties,
        body: bytes,
    ) -> None:
        held = Held(channel, method.delivery_tag, queue.name, properties, body)
        try:
            publication = self._publication(name, held)
        except BrokerError as error:
            self._put_off(held, str(error))
        else:
            self._transfer.start(held, publication, refused=lambda refusal: self._put_off(held, refusal.reason))

    def _publication(self, name: str, held: Held) -> Publication:
        due, message_id, body = taken_over(held.body, name)
        held.properties.message_id = message_id or str(uuid.uuid4())
        held = replace(held, body=body)
        now = now_ms()
        if due is None or due <= now:
            return held.released(self._declarations.work(name).name)
        hold = Hold.until(due, name, now=now)
        return held.in_hold(hold, self._declarations.hold(hold.hold_ms).name)

    def _put_off(self, held: Held, reason: str) -> None:
        log.warning("relay: a message that plain Dramatiq has delayed waits in %r: %s", held.found_in, reason)
        self._session.call_later(AGAIN_AFTER_S, held.give_back)


def taken_over(body: bytes, queue: str) -> tuple[int | None, str | None, bytes]:
    """Return when the message in *body* is due, its id, and what is left of it to run in *queue*.

    Times are milliseconds since the Unix epoch. A message that can't be read, or has no time, is due at None, and
    stays as it is.
    """
    try:
        message = json.loads(body)
        eta, message_id = message["options"]["eta"], message["message_id"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None, None, body
    del message["options"]["eta"]
    rest = json.dumps(message | {"queue_name": queue}, separators=(",", ":")).encode()
    return _time(eta), message_id if _fits(message_id) else None, rest


def _fits(message_id: Any) -> bool:
    try:
        return isinstance(message_id, str) and 0 < len(message_id.encode()) <= LONGEST_ID
    except UnicodeEncodeError:
        return False


def _time(eta: Any) -> int | None:
    # Plain Dramatiq, too, runs at once what has no number here.
    if not isinstance(eta, int | float) or not math.isfinite(eta):
        return None
    return min(math.ceil(eta), LATEST)


def _closed(error: BaseException) -> None:
    if isinstance(error, ChannelClosedByBroker):
        log.warning("relay: what plain Dramatiq has delayed is left until it connects again: %s", error.reply_text)
