"""A relay's ear: it hears what operators ask all relays, and answers."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from dramatiq.errors import BrokerError
from pika import BasicProperties
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker
from pika.spec import Basic

from actors.brokers.admin import NOT_FOUND
from actors.brokers.declarations import Declarations
from actors.brokers.hold import Held
from actors.brokers.inquiry import Answer, Delayed, Found, Inquiry
from actors.brokers.kept import Kept
from actors.brokers.session import Session

log = logging.getLogger(__name__)

# How soon it listens again after the exchange has gone away under it, in seconds.
AGAIN_AFTER_S = 1.0

# How long an inquiry may be under way, in seconds.
MARGIN_S = 0.1

Reply = Callable[[Answer], None]


class Answering:
    """Answers the inquiries that come to all relays of an environment, on a channel of its own.

    Where its user has no right to that, the relay moves messages all the same, and answers nothing.

    Args:
        session: the relay's.
        declarations: names the exchange and the queues.
        kept: what the relay keeps.
        keep_on: called with a message that could not be released, and waits on.
        make_room: called with what says of a message whether it may have come before its turn.
    """

    def __init__(
        self,
        session: Session,
        declarations: Declarations,
        kept: Kept,
        *,
        keep_on: Callable[[Held], None],
        make_room: Callable[[Callable[[Held], bool]], None],
    ) -> None:
        self._session = session
        self._declarations = declarations
        self._kept = kept
        self._keep_on = keep_on
        self._make_room = make_room

    def open(self, then: Callable[[], None] = lambda: None) -> None:
        """Listen beside the session's channel, until that ends; call *then* as soon as it does, or can't."""
        beside, waiting = self._session.channel, [then]

        def go_on() -> None:
            if waiting:
                waiting.pop()()

        def closed(error: BaseException) -> None:
            go_on()
            self._closed(error, beside)

        channel = self._session.open_channel(lambda channel: self._listen(channel, go_on))
        channel.add_on_close_callback(lambda _, error: closed(error))

    def _listen(self, channel: Channel, then: Callable[[], None]) -> None:
        exchange = self._declarations.topology.relays
        queue = self._declarations.topology.relay(uuid.uuid4().hex)
        # The queue goes with this relay, the exchange with the last: nothing is left behind.
        channel.exchange_declare(exchange, "fanout", auto_delete=True)
        channel.queue_declare(queue.name, exclusive=True, auto_delete=True)
        channel.queue_bind(queue.name, exchange)
        channel.basic_consume(queue.name, self._hear, auto_ack=True, callback=lambda _: then())

    def _closed(self, error: BaseException, beside: Channel | None) -> None:
        if self._session.channel is not beside or not isinstance(error, ChannelClosedByBroker):
            return
        if error.reply_code == NOT_FOUND:  # the exchange has gone with another relay, between the two lines above
            self._session.call_later(AGAIN_AFTER_S, lambda: self.open() if self._session.channel is beside else None)
        else:
            log.warning("relay: it can't be asked what it keeps: %s", error.reply_text)

    def _hear(self, channel: Channel, _: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        reply_to = properties.reply_to
        try:
            inquiry = Inquiry.decode(body)
        except ValueError as error:
            log.warning("relay: an inquiry is not understood: %s", error)
            return

        def reply(answer: Answer) -> None:
            if channel.is_open:
                about = BasicProperties(correlation_id=properties.correlation_id)
                channel.basic_publish("", reply_to, answer.encode(), about)

        # Since when who asks has had messages of the queue in hand.
        since = time.monotonic() - inquiry.took_ms / 1000 - MARGIN_S

        def make_room() -> None:
            if inquiry.took_ms:
                # What came to us meanwhile came past what was in hand there, and is back now.
                self._make_room(lambda held: held.found_in == inquiry.hold_queue and held.arrived > since)

        if inquiry.action == "list":
            reply(Answer([Found(message) for message in self._list(inquiry.hold_queue, since)]))
            make_room()
        else:
            # Only then: what is moved out of the way is on its way elsewhere, and could not be dealt with.
            self._if_still_there(reply_to, lambda: self._deal(inquiry, reply), at_last=make_room)

    def _list(self, hold_queue: str, since: float) -> Iterator[Delayed]:
        yield from map(Delayed.of, self._kept.of(hold_queue))
        # It was neither in hand there nor is it here now.
        yield from self._kept.put_back(hold_queue, since)

    def _if_still_there(self, reply_to: str, then: Callable[[], None], *, at_last: Callable[[], None]) -> None:
        """Call *then* if who asked still waits: a relay that was frozen does nothing later that nobody would note.

        Whether it does or not, *at_last* is called afterwards.
        """

        def ask(channel: Channel) -> None:
            # RabbitMQ closes this channel if nobody waits there.
            channel.queue_declare(reply_to, passive=True, callback=lambda _: answered(channel))

        def answered(channel: Channel) -> None:
            then()
            channel.close()

        self._session.open_channel(ask).add_on_close_callback(lambda *_: at_last())

    def _deal(self, inquiry: Inquiry, reply: Reply) -> None:
        named = [held for held in self._kept.of(inquiry.hold_queue) if held.properties.message_id in inquiry.ids]
        # What is on its way elsewhere is not ours to decide on; a second look finds it there.
        ours = [held for held in named if held in self._kept]
        if not ours:
            reply(Answer())
        elif inquiry.action == "cancel":
            self._cancel(ours, reply)
        else:
            self._run_now(ours, reply)

    def _cancel(self, ours: Sequence[Held], reply: Reply) -> None:
        for held in ours:
            self._kept.cancel(held)
        _once_acked(ours[0], lambda: reply(Answer([Found(Delayed.of(held)) for held in ours])))

    def _run_now(self, ours: Sequence[Held], reply: Reply) -> None:
        found: list[Found] = []

        def settle(held: Held, problem: str | None = None) -> None:
            found.append(Found(Delayed.of(held), problem))
            if len(found) == len(ours):
                _once_acked(ours[0], lambda: reply(Answer(found)))

        def otherwise(held: Held, reason: str) -> None:
            self._keep_on(held)
            settle(held, reason)

        for held in ours:
            try:
                publication = held.released(self._declarations.work(held.queue).name)
            except BrokerError as error:
                otherwise(held, str(error))
            else:
                self._kept.move(held, publication, otherwise=partial(otherwise, held), done=partial(settle, held))


def _once_acked(held: Held, then: Callable[[], None]) -> None:
    """Call *then* when RabbitMQ has taken the acks that were sent on the channel of *held*."""
    if held.channel.is_open:
        held.channel.queue_declare(held.found_in, passive=True, callback=lambda _: then())
