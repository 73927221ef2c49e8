"""Takes messages from one logical queue, and acks them in batches."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import dramatiq
from dramatiq.errors import BrokerError, DecodeError
from dramatiq.middleware import Middleware, SkipMessage
from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from actors.brokers.nodes import Nodes
from actors.brokers.session import Session
from actors.brokers.topology import Queue
from actors.errors import ActorsError

Bury = Callable[[str, bytes, str | None, Callable[[bool], None]], None]

AGAIN_AFTER_S = 2.0

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Epoch:
    """The life of one channel; what it delivered belongs to somebody else once it is over."""

    over: bool = False


class Delivery(dramatiq.MessageProxy):
    """A message as RabbitMQ delivered it.

    Attributes:
        redelivered: it was delivered before and never acked.
        requeue: set when its outcome could not be made durable: it goes back to its queue instead of being acked.
        epoch, tag: which delivery this is; good only on the channel of that epoch.
        body: the bytes that were delivered.
    """

    def __init__(
        self, message: dramatiq.Message[Any], *, redelivered: bool, epoch: Epoch, tag: int, body: bytes
    ) -> None:
        super().__init__(message)
        self.redelivered = redelivered
        self.requeue = False
        self.epoch = epoch
        self.tag = tag
        self.body = body


class Consumer(dramatiq.Consumer):
    """Iterates over the messages of all generations of one logical queue.

    It survives the loss of its connection by itself: until there is a new one it yields None, which
    leaves its thread free to stop. A delivery tag is good for its own channel only; settling a message of an
    earlier channel does nothing, since RabbitMQ has given that message to somebody else by then.

    Args:
        nodes: where to connect.
        queue_name: the logical queue; messages that claim to belong to another are made to belong to this one.
        find_queues: called for each new channel; returns the physical queues to consume.
        bury: called with queue, body, message id and a callback; sends the body to the dead letters, and calls
            back with whether it is durable there.
        prefetch: how many messages may be delivered and unacked, a physical queue.
        idle_ms: the longest that one step of the iteration waits, in milliseconds.
    """

    def __init__(
        self,
        nodes: Nodes,
        *,
        queue_name: str,
        find_queues: Callable[[str], list[Queue]],
        bury: Bury,
        prefetch: int,
        idle_ms: int,
    ) -> None:
        self.queue_name = queue_name
        self._find_queues = find_queues
        self._bury = bury
        self._prefetch = prefetch
        self._arrived: deque[Delivery] = deque()
        self._epoch = Epoch()
        self._settled: deque[tuple[Epoch, int, bool]] = deque()
        self._awake = False
        # The tags delivered on this channel and not yet settled; they rise by one.
        self._outstanding: set[int] = set()
        self._oldest = self._newest = 1
        self._session = Session(
            nodes, f"consumer of {queue_name}", on_open=self._consume, on_lost=self._lost, idle_s=idle_ms / 1000
        )

    def __next__(self) -> dramatiq.MessageProxy | None:
        if not self._arrived:
            self._session.pump()
            if self._settled:
                self._flush()
        return self._arrived.popleft() if self._arrived else None

    def ack(self, message: dramatiq.MessageProxy) -> None:
        """Tell RabbitMQ that *message* is done, or to deliver it again where its outcome is not durable."""
        assert isinstance(message, Delivery)  # noqa: S101
        self._settle(message.epoch, message.tag, requeue=message.requeue)

    def nack(self, message: dramatiq.MessageProxy) -> None:
        """Forward *message* to the dead letters, and ack it once that is confirmed; else requeue it."""
        assert isinstance(message, Delivery)  # noqa: S101
        try:
            body = message._message.encode()
        except ActorsError as error:
            log.error("message %s: what its middleware noted can't be encoded: %s", message.message_id, error)
            body = message.body
        self._dead_letter(body, message.message_id, message.epoch, message.tag)

    def requeue(self, messages: Iterable[dramatiq.MessageProxy]) -> None:
        """Give *messages* back at shutdown; closing the channel would, too, but only later."""
        for message in messages:
            assert isinstance(message, Delivery)  # noqa: S101
            self._settle(message.epoch, message.tag, requeue=True)

    def close(self) -> None:
        """Send the acks that are still due, and disconnect."""
        self._flush()
        self._session.close()
        self._lost("closed")

    def _dead_letter(self, body: bytes, message_id: str | None, epoch: Epoch, tag: int) -> None:
        def done(durable: bool) -> None:
            if durable:
                self._settle(epoch, tag, requeue=False)
            else:
                # Not at once: it would run, fail, and come back here as fast as the machine can.
                again = partial(self._settle, epoch, tag, requeue=True)
                self._session.call_soon(lambda: self._session.call_later(AGAIN_AFTER_S, again))

        self._bury(self.queue_name, body, message_id, done)

    def _settle(self, epoch: Epoch, tag: int, *, requeue: bool) -> None:
        """Note the end of a delivery; safe from any thread."""
        self._settled.append((epoch, tag, requeue))
        # Worker threads race here, and may be interrupted. The worst that comes of it is one wake-up too many, or
        # none: then the ack goes out with the next pump.
        if not self._awake:
            self._awake = True
            self._session.call_soon(self._flush)

    # All that follows runs on the consumer's thread.

    def _consume(self, channel: Channel) -> None:
        try:
            queues = self._find_queues(self.queue_name)
        except BrokerError as error:
            self._session.drop(str(error))
            return
        self._oldest = self._newest = 1
        channel.add_on_cancel_callback(lambda _: self._session.drop("RabbitMQ cancelled the consumer"))
        channel.basic_qos(prefetch_count=self._prefetch)
        self._epoch = epoch = Epoch()
        for queue in queues:
            channel.basic_consume(queue.name, lambda *delivery: self._deliver(epoch, *delivery))

    def _deliver(
        self, epoch: Epoch, _: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        tag = method.delivery_tag
        self._outstanding.add(tag)
        self._newest = tag
        try:
            message = _well_formed(dramatiq.Message.decode(body))
            if message.queue_name != self.queue_name:
                # Dramatiq's worker looks its consumer up by this name, and dies where there is none.
                message = message.copy(queue_name=self.queue_name)
        except (DecodeError, TypeError) as error:
            log.error("queue %r: a message that can't be decoded goes to the dead letters: %s", self.queue_name, error)
            self._dead_letter(body, properties.message_id, epoch, tag)
            return
        self._arrived.append(Delivery(message, redelivered=method.redelivered, epoch=epoch, tag=tag, body=body))

    def _lost(self, _: str) -> None:
        self._epoch.over = True
        self._arrived.clear()
        self._outstanding.clear()

    def _flush(self) -> None:
        """Send the acks and requeues that have come together."""
        self._awake = False
        channel = self._session.channel
        done: list[int] = []
        while self._settled:
            epoch, tag, requeue = self._settled.popleft()
            if channel is None or epoch is not self._epoch or tag not in self._outstanding:
                log.debug("queue %r: a message ended after its channel did; it is delivered again", self.queue_name)
            elif requeue:
                self._outstanding.remove(tag)
                channel.basic_nack(tag, requeue=True)
            else:
                self._outstanding.remove(tag)
                done.append(tag)
        if channel is not None and done:
            self._ack(channel, sorted(done))

    def _ack(self, channel: Channel, done: list[int]) -> None:
        """Ack all below the oldest outstanding tag in one frame, the others one by one."""
        while self._oldest <= self._newest and self._oldest not in self._outstanding:
            self._oldest += 1
        below = [tag for tag in done if tag < self._oldest]
        if below:
            # One multiple ack covers them; its tag is outstanding in RabbitMQ, or the channel would be closed.
            channel.basic_ack(below[-1], multiple=True)
        for tag in done[len(below) :]:
            channel.basic_ack(tag)


class DropStale(Middleware):
    """Skips messages whose channel has ended before they could start: RabbitMQ delivers them again, to somebody."""

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Raise SkipMessage where running *message* would be one run too many."""
        if isinstance(message, Delivery) and message.epoch.over:
            raise SkipMessage(f"message {message.message_id} is delivered again: its channel has ended")


def _well_formed(message: dramatiq.Message[Any]) -> dramatiq.Message[Any]:
    """Return *message*.

    Raises:
        TypeError: a field has a type on which Dramatiq's consumer would fail, and be delivered it again, for ever.
    """
    texts = (message.queue_name, message.actor_name, message.message_id)
    if all(isinstance(text, str) for text in texts) and type(message.kwargs) is type(message.options) is dict:
        return message
    raise TypeError(f"not a message: {message!r}")
