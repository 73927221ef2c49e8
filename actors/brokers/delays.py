"""Durable delays: hold queues, and the relay that moves messages through them.

Every message in the queue ``hold.{ms}`` is held equally long, so that its head is always due next, and no message
waits behind one that is due later. A delayed message goes to the largest hold not above what remains; when its look
is due, the relay moves it on to the next smaller one, and at last to its work queue.
"""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dramatiq.errors import BrokerError
from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from actors.brokers.declarations import Declarations
from actors.brokers.nodes import Nodes
from actors.brokers.publisher import Batch, Publication, Publisher
from actors.brokers.session import Session
from actors.brokers.topology import HOLDS_MS

log = logging.getLogger(__name__)

# How many messages of each hold queue a relay keeps in memory.
PREFETCH = 32
# A message kept for longer than RabbitMQ's consumer timeout (30 minutes by default) would cost the relay its
# channel. Well before that it goes back to the head of its queue, and is looked at anew.
KEEP_MS = 300_000
# For how long a message is held anew that can't be moved on; one of HOLDS_MS.
AGAIN_AFTER_MS = 1_600

_DUE, _LOOK, _QUEUE = "due", "look", "queue"


@dataclass(frozen=True, slots=True)
class Hold:
    """How a message waits: in which hold queue, when it is looked at next, and when and where it is due.

    Times are milliseconds since the Unix epoch; *queue* is a logical queue.
    """

    hold_ms: int
    look: int
    due: int
    queue: str

    @classmethod
    def until(cls, due: int, queue: str, *, now: int) -> Hold:
        """Return the hold for a message that is due at *due*: the longest that does not go beyond it."""
        index = bisect_right(HOLDS_MS, due - now)
        if index == 0:
            return cls(HOLDS_MS[0], due, due, queue)
        hold_ms = HOLDS_MS[index - 1]
        return cls(hold_ms, now + hold_ms, due, queue)

    def publication(self, body: bytes, properties: BasicProperties, physical_queue: str) -> Publication:
        """Return what to publish so that *body* waits in *physical_queue*, this hold's queue."""
        headers = {_DUE: self.due, _LOOK: self.look, _QUEUE: self.queue}
        return Publication(physical_queue, body, _with_headers(properties, headers))


class Relay:
    """Moves held messages on when they are due; any number of relays may run side by side.

    A relay that dies between a publish and its ack doubles that message, under the same message id; it loses none.
    It keeps at most ``PREFETCH`` messages of each hold queue in memory.

    Args:
        nodes: where to connect.
        declarations: makes hold queues and work queues exist, and names them.
        publisher: publishes what is moved on.
    """

    def __init__(self, nodes: Nodes, declarations: Declarations, publisher: Publisher) -> None:
        self._declarations = declarations
        self._publisher = publisher
        self._stopping = False
        self._moving: set[Batch] = set()
        self._session = Session(nodes, "relay", on_open=self._consume, on_lost=self._lost)
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
        except BrokerError as error:
            self._session.drop(str(error))
            return
        channel.add_on_cancel_callback(lambda _: self._session.drop("RabbitMQ cancelled the relay's consumer"))
        channel.basic_qos(prefetch_count=PREFETCH)
        for hold_ms, queue in holds:
            channel.basic_consume(queue.name, partial(self._look, hold_ms))

    def _look(
        self, hold_ms: int, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        """Keep a message until its look is due, and move it on then."""
        tag, held = method.delivery_tag, _Held(channel, method.delivery_tag, properties, body)
        # A sender whose clock is ahead asks for more than its queue's hold, and would keep others waiting behind it.
        wait_ms = min(held.time(_LOOK) - _now(), hold_ms)
        if wait_ms > KEEP_MS:
            self._session.call_later(KEEP_MS / 1000, lambda: _if_open(channel, lambda: channel.basic_reject(tag)))
        else:
            self._session.call_later(wait_ms / 1000, lambda: self._move(held))

    def _move(self, held: _Held) -> None:
        """Publish a message to its work queue if it is due, else to its next hold; ack it once that is confirmed."""
        if not held.channel.is_open:
            return  # it is delivered again
        due, now = held.time(_DUE), _now()
        try:
            if due > now:
                publication = self._next_hold(held, Hold.until(due, held.queue, now=now))
            else:
                name = self._declarations.work(held.queue).name
                publication = Publication(name, held.body, _with_headers(held.properties, {}))
        except BrokerError as error:
            self._put_off(held, str(error))
            return
        self._publish(held, publication, otherwise=lambda reason: self._put_off(held, reason))

    def _put_off(self, held: _Held, reason: str) -> None:
        """Hold a message for a while that can't be moved on, out of the way of those behind it."""
        log.warning("relay: a delayed message for queue %r waits on: %s", held.queue, reason)
        try:
            hold = Hold(AGAIN_AFTER_MS, _now() + AGAIN_AFTER_MS, held.time(_DUE), held.queue)
            publication = self._next_hold(held, hold)
        except BrokerError:
            self._give_back(held)
        else:
            self._publish(held, publication, otherwise=lambda _: self._give_back(held))

    def _give_back(self, held: _Held) -> None:
        self._session.call_later(
            AGAIN_AFTER_MS / 1000, lambda: _if_open(held.channel, lambda: held.channel.basic_reject(held.tag))
        )

    def _next_hold(self, held: _Held, hold: Hold) -> Publication:
        return hold.publication(held.body, held.properties, self._declarations.hold(hold.hold_ms).name)

    def _publish(self, held: _Held, publication: Publication, *, otherwise: Callable[[str], None]) -> None:
        """Publish, and ack *held* once that is confirmed; call *otherwise* with the reason if it is refused."""

        def done(batch: Batch) -> None:
            self._moving.discard(batch)
            if not batch.refusals:
                _if_open(held.channel, lambda: held.channel.basic_ack(held.tag))
                return
            if batch.refusals[0].unroutable:
                self._declarations.forget()
            if held.channel.is_open:
                otherwise(batch.refusals[0].reason)

        batch = Batch([publication], lambda batch: self._session.call_soon(lambda: done(batch)))
        self._moving.add(batch)
        self._publisher.submit(batch)

    def _lost(self, _: str) -> None:
        # RabbitMQ delivers all of them again: what is not published yet would be one copy too many.
        for batch in self._moving:
            self._publisher.withdraw(batch)
        self._moving.clear()


@dataclass(frozen=True, slots=True)
class _Held:
    """A message that the relay keeps."""

    channel: Channel
    tag: int
    properties: BasicProperties
    body: bytes

    def time(self, header: str) -> int:
        """Return the milliseconds in *header*; now, if there are none."""
        value = (self.properties.headers or {}).get(header)
        return value if isinstance(value, int) else _now()

    @property
    def queue(self) -> str:
        value = (self.properties.headers or {}).get(_QUEUE)
        return value if isinstance(value, str) and value else "default"


def _if_open(channel: Channel, act: Callable[[], None]) -> None:
    # A closed channel's messages are delivered again, to whoever consumes then.
    if channel.is_open:
        act()


def _with_headers(properties: BasicProperties, own: dict[str, object]) -> BasicProperties:
    """Return *properties* with *own* in place of an earlier hold's headers, and without RabbitMQ's ``x-`` ones."""
    kept = {
        name: value
        for name, value in (properties.headers or {}).items()
        if name not in (_DUE, _LOOK, _QUEUE) and not name.startswith("x-")
    }
    return BasicProperties(
        content_type=properties.content_type,
        delivery_mode=2,
        headers={**kept, **own} or None,
        message_id=properties.message_id,
        priority=properties.priority,
    )


def _now() -> int:
    return time.time_ns() // 1_000_000
