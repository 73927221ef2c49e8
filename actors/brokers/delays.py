"""Durable delays: hold queues, and the relay that moves messages through them.

Every message in the queue ``hold.{ms}`` is held equally long, so that its head is always due next, and no message
waits behind one that is due later. A delayed message goes to the largest hold not above what remains; when its look
is due, the relay moves it on to the next smaller one, and at last to its work queue.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from dramatiq.errors import BrokerError
from pika import BasicProperties
from pika.channel import Channel
from pika.frame import Method
from pika.spec import Basic

from actors.brokers.answering import Answering
from actors.brokers.declarations import Declarations
from actors.brokers.hold import Held, now_ms
from actors.brokers.hold import Hold as Hold
from actors.brokers.kept import Kept
from actors.brokers.nodes import Nodes
from actors.brokers.plain_delays import PlainDelays
from actors.brokers.publisher import Publication, Publisher
from actors.brokers.session import Session
from actors.brokers.topology import FIRST_HOLD_MS, HOLDS_MS, Queue
from actors.brokers.transfer import Transfer

log = logging.getLogger(__name__)

# How many messages of each hold queue a relay keeps in memory.
PREFETCH = 32
# A message kept for longer than RabbitMQ's consumer timeout (30 minutes by default) would cost the relay its
# channel. Well before that it is held anew.
KEEP_MS = 300_000
# How often a relay looks whether another has gone, in seconds.
COUNT_EVERY_S = 2.0
# For how long a message is held anew that can't be moved on; one of HOLDS_MS.
AGAIN_AFTER_MS = 1_600


class Relay:
    """Moves held messages on when they are due; any number of relays may run side by side.

    A relay that dies between a publish and its ack doubles that message, under the same message id; it loses none.
    It keeps at most ``PREFETCH`` messages of each hold queue in memory. What plain Dramatiq has delayed it takes over.

    Args:
        nodes: where to connect.
        declarations: makes hold queues and work queues exist, and names them.
        publisher: publishes what is moved on.
    """

    def __init__(self, nodes: Nodes, declarations: Declarations, publisher: Publisher) -> None:
        self._declarations = declarations
        self._stopping = False
        self._session = Session(nodes, "relay", on_open=self._consume, on_lost=self._lost)
        self._kept = Kept(Transfer(self._session, publisher, declarations))
        self._answering = Answering(
            self._session, declarations, self._kept, keep_on=self._wait, make_room=self._make_room
        )
        self._plain_delays = PlainDelays(self._session, declarations, Transfer(self._session, publisher, declarations))
        self._thread = threading.Thread(target=self._run, name="actors-relay", daemon=True)

    def start(self) -> None:
        """Start moving messages, on a thread of its own."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop; what is kept in memory goes back to its queues."""
        self._stopping = True
        self._session.call_soon(lambda: None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._session.pump()
            except Exception:
                # Delayed messages wait for this thread: whatever it was, go on with a new channel.
                log.exception("relay: unexpected error; opening a new connection")
                self._session.drop("unexpected error")
        self._session.close()

    def _consume(self, channel: Channel) -> None:
        try:
            holds = self._declarations.holds()
            plain_delays = self._declarations.plain_delays()
        except BrokerError as error:
            self._session.drop(str(error))
            return
        # Whoever counts the consumers of a hold queue counts on as many answers.
        self._answering.open(lambda: self._keep(channel, holds))
        if plain_delays:
            self._plain_delays.open(plain_delays)

    def _keep(self, channel: Channel, holds: Sequence[tuple[int, Queue]]) -> None:
        if not channel.is_open:
            return
        channel.add_on_cancel_callback(lambda _: self._session.drop("RabbitMQ cancelled the relay's consumer"))
        channel.basic_qos(prefetch_count=PREFETCH)
        for hold_ms, queue in holds:
            channel.basic_consume(queue.name, partial(self._look, hold_ms, queue))
        # Another may have gone as this one came, and what it kept come back a moment too late.
        self._count_later(channel, self._declarations.topology.hold(HOLDS_MS[-1]), math.inf)

    def _look(
        self,
        hold_ms: int,
        queue: Queue,
        channel: Channel,
        method: Basic.Deliver,
        properties: BasicProperties,
        body: bytes,
    ) -> None:
        """Keep a message until its look is due, and move it on then."""
        held = Held(channel, method.delivery_tag, queue.name, properties, body)
        self._kept.add(held)
        # A sender whose clock is ahead asks for more than its queue's hold, and would keep others waiting behind it.
        longest_ms = min(hold_ms, KEEP_MS)
        if method.redelivered and queue.is_quorum and held.look > now_ms() + FIRST_HOLD_MS:
            # A quorum queue delivers what comes back in the order in which it came back: the heads that another relay
            # had, behind what has been looked at meanwhile. Held anew, none of them keeps an earlier one waiting.
            longest_ms = 0
        self._wait(held, longest_ms)

    def _wait(self, held: Held, longest_ms: int = KEEP_MS) -> None:
        """Move a message on when its look is due, or else after *longest_ms*."""
        self._session.call_later(min(held.look - now_ms(), longest_ms) / 1000, lambda: self._move(held))

    def _move(self, held: Held) -> None:
        """Publish a message to its work queue if it is due, else to its next hold; ack it once that is confirmed."""
        if held not in self._kept:
            return  # it is delivered again, or an operator has decided on it
        now = now_ms()
        try:
            if held.due > now:
                publication = self._in_hold(held, Hold.until(held.due, held.queue, now=now))
            else:
                publication = held.released(self._declarations.work(held.queue).name)
        except BrokerError as error:
            self._put_off(held, str(error))
        else:
            self._kept.move(held, publication, otherwise=lambda reason: self._put_off(held, reason))

    def _count_later(self, channel: Channel, queue: Queue, before: float) -> None:
        """Notice when another relay has gone: what it kept is ready again, and may be due before what we keep."""

        def counted(frame: Method[Any]) -> None:
            relays = frame.method.consumer_count
            if relays < before:
                self._make_room(lambda held: True)
            self._count_later(channel, queue, relays)

        def count() -> None:
            if channel.is_open:
                channel.queue_declare(queue.name, passive=True, callback=counted)

        self._session.call_later(COUNT_EVERY_S, count)

    def _make_room(self, is_wrong: Callable[[Held], bool]) -> None:
        """Hold anew what may keep an earlier one waiting, where no more is delivered until something has gone."""
        soon = now_ms() + FIRST_HOLD_MS
        for held in self._kept.filling(PREFETCH):
            if held.look > soon and is_wrong(held):
                self._move(held)

    def _put_off(self, held: Held, reason: str) -> None:
        """Hold a message for a while that can't be moved on, out of the way of those behind it."""
        log.warning("relay: a delayed message for queue %r waits on: %s", held.queue, reason)
        hold = Hold(AGAIN_AFTER_MS, now_ms() + AGAIN_AFTER_MS, held.due, held.queue)
        try:
            publication = self._in_hold(held, hold)
        except BrokerError:
            self._give_back(held)
        else:
            self._kept.move(held, publication, otherwise=lambda _: self._give_back(held))

    def _give_back(self, held: Held) -> None:
        self._session.call_later(AGAIN_AFTER_MS / 1000, lambda: self._kept.give_back(held))

    def _in_hold(self, held: Held, hold: Hold) -> Publication:
        return held.in_hold(hold, self._declarations.hold(hold.hold_ms).name)

    def _lost(self, _: str) -> None:
        self._kept.clear()
        self._plain_delays.lost()
