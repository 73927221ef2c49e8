"""Takes messages from one logical queue, and acks them in batches."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from time import monotonic

import dramatiq
from dramatiq.errors import BrokerError, DecodeError
from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from actors.brokers.delivery import Delivery, Epoch, last_body, well_formed
from actors.brokers.dispatch import Dispatch
from actors.brokers.exchange import Exchange
from actors.brokers.nodes import Nodes
from actors.brokers.outgoing import Following
from actors.brokers.publisher import Publication
from actors.brokers.session import Session
from actors.brokers.topology import Queue
from actors.brokers.watched import Watched
from middleware import DeadLetter, Guard, Letter

Bury = Callable[[bytes, Letter], Publication]
Forward = Callable[[Sequence[Publication], Callable[[bool], None]], None]

# How soon a message runs again, or is forwarded again, that could not be forwarded; in seconds.
AGAIN_AFTER_S = 2.0
# How long a consumer that is closed waits for what is being forwarded, in seconds.
LAST_WAIT_S = 5.0

log = logging.getLogger(__name__)


class Consumer(Watched):
    """Iterates over the messages of all generations of one logical queue.

    It survives the loss of its connection by itself: until there is a new one it yields None, which
    leaves its thread free to stop. A delivery tag is good for its own channel only; settling a message of an
    earlier channel does nothing, since RabbitMQ has given that message to somebody else by then.

    The order at the end of an attempt: its outcome is recorded, then what follows it is published and confirmed, then
    it is acked.

    Args:
        broker: the broker, whose hooks and actors count.
        nodes: where to connect.
        queue_name: the logical queue; messages that claim to belong to another are made to belong to this one.
        find_queues: called for each new channel; returns the physical queues to consume.
        guard: asks for idempotency keys, or None.
        dead_letter: knows what a dead letter is to say, and is told of each that is forwarded.
        bury: called with a body and what is said of it; returns what to publish to the dead letters.
        forward: called with what follows an attempt and a callback; publishes it, and calls back with whether all of it
            is durable.
        prefetch: how many messages may be delivered and unacked, a physical queue.
        idle_ms: the longest that one step of the iteration waits, in milliseconds.
    """

    def __init__(
        self,
        broker: Dispatch,
        nodes: Nodes,
        *,
        queue_name: str,
        find_queues: Callable[[str], list[Queue]],
        guard: Guard | None,
        dead_letter: DeadLetter,
        bury: Bury,
        forward: Forward,
        prefetch: int,
        idle_ms: int,
    ) -> None:
        super().__init__()
        self.queue_name = queue_name
        self._broker = broker
        self._find_queues = find_queues
        self._dead_letter = dead_letter
        self._bury = bury
        self._forward = forward
        self._prefetch = prefetch
        self._epoch = Epoch()
        self._settled: deque[tuple[Epoch, int, bool]] = deque()
        self._following: set[object] = set()
        self._awake = False
        self._takes_more = True
        self._tags: list[str] = []
        # What was delivered on this channel and not yet settled, by tag; tags rise by one.
        self._outstanding: dict[int, Delivery | None] = {}
        self._oldest = self._newest = 1
        self._session = Session(
            nodes, f"consumer of {queue_name}", on_open=self._consume, on_lost=self._lost, idle_s=idle_ms / 1000
        )
        self._exchange = Exchange(broker, guard, conclude=self._conclude, call_later=self._session.call_later)

    def __next__(self) -> dramatiq.MessageProxy | None:
        ready = self._exchange.ready
        if not ready:
            self._session.pump()
            self._exchange.turn()
            if self._settled:
                self._flush()
            self.turned_at_s = monotonic()
        return ready.popleft() if ready else None

    @property
    def problem(self) -> str:
        """Why it takes no messages just now; empty if it does."""
        if self._session.channel is not None:
            return ""
        return f"no channel to RabbitMQ: {self._session.last_error or 'it is being opened'}"

    @property
    def in_hand(self) -> int:
        """How many messages it has taken that have not ended; from any thread."""
        return len(self._outstanding)

    def ack(self, message: dramatiq.MessageProxy) -> None:
        """Note that the attempt of *message* has ended: record it, publish what follows it, then tell RabbitMQ."""
        assert isinstance(message, Delivery)  # noqa: S101
        if self._exchange.end(message):
            self._wake()
        else:
            self._conclude(message, True)

    # A failed message is no different: its dead letter is one more thing that follows it.
    nack = ack

    def take_no_more(self) -> None:
        """From now on take nothing; what was taken ends, or goes back, as ever. From any thread."""
        if self._takes_more:
            self._takes_more = False
            self._session.call_soon(self._cancel)

    def requeue(self, messages: Iterable[dramatiq.MessageProxy]) -> None:
        """Give *messages* back at shutdown, and their keys; closing the channel would, too, but only later."""
        for message in messages:
            assert isinstance(message, Delivery)  # noqa: S101
            if not self._exchange.leave(message):
                self._settle(message.epoch, message.tag, requeue=True)

    def close(self) -> None:
        """Bring to an end what has ended in the workers, give back what has not started, and disconnect."""
        self.is_closed = True
        self._abandon()
        self._exchange.finish()
        self._flush()
        deadline = monotonic() + LAST_WAIT_S
        while self._following and self._session.channel is not None and monotonic() < deadline:
            self._session.pump()
            self._flush()
        self._session.close()
        self._lost("closed")

    def _conclude(self, delivery: Delivery, is_current: bool) -> None:
        """Publish what follows the attempt of *delivery*, then ack it; nothing follows one that is not current."""
        if not is_current or delivery.requeue:
            self._settle(delivery.epoch, delivery.tag, requeue=is_current)
            return
        if delivery.failed:
            letter = self._dead_letter.letter_of(delivery, self.queue_name)
            self._forward_dead(last_body(delivery), letter, delivery, delivery.epoch, delivery.tag)
        elif delivery.outbox:
            self._follow(delivery.epoch, delivery.tag, delivery.outbox)
        else:
            self._settle(delivery.epoch, delivery.tag, requeue=False)

    def _forward_dead(self, body: bytes, letter: Letter, delivery: Delivery | None, epoch: Epoch, tag: int) -> None:
        """Forward *body* to the dead letters; *delivery* is None for one that can't be decoded."""
        outbox, error = ([], None) if delivery is None else (delivery.outbox, delivery.take_error())
        try:
            publication = self._bury(body, letter)
        except BrokerError as refusal:
            log.warning("queue %r: a dead letter can't be forwarded yet: %s", self.queue_name, refusal)
            self._again(epoch, tag)
        else:
            self._follow(epoch, tag, outbox, publication, then=lambda: self._dead_letter.forwarded(letter, error))

    def _follow(
        self,
        epoch: Epoch,
        tag: int,
        outbox: Sequence[Following],
        *others: Publication,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Publish what follows a delivery, and ack it once all is confirmed; else let it be delivered again."""
        following = object()
        self._following.add(following)

        def done(durable: bool) -> None:
            self._following.discard(following)
            if not durable:
                self._again(epoch, tag)
                return
            self._settle(epoch, tag, requeue=False)
            then()
            for each in outbox:
                if each.outgoing is not None:
                    self._broker.emit_after("enqueue", each.message, each.outgoing.delay)

        self._forward(
            [*(each.publication for each in outbox), *others],
            lambda durable: self._session.call_soon(lambda: done(durable)),
        )

    def _again(self, epoch: Epoch, tag: int) -> None:
        """Let a delivery come again, but not at once: it would end the same way as fast as the machine can."""
        again = partial(self._settle, epoch, tag, requeue=True)
        self._session.call_soon(lambda: self._session.call_later(AGAIN_AFTER_S, again))

    def _settle(self, epoch: Epoch, tag: int, *, requeue: bool) -> None:
        """Note the end of a delivery; safe from any thread."""
        self._settled.append((epoch, tag, requeue))
        self._wake()

    def _wake(self) -> None:
        # Worker threads race here, and may be interrupted. The worst that comes of it is one wake-up too many, or
        # none: then it is done with the next pump.
        if not self._awake:
            self._awake = True
            self._session.call_soon(self._rouse)

    # All that follows runs on the consumer's thread.

    def _rouse(self) -> None:
        self._awake = False

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
        if self._takes_more:
            self._tags = [
                channel.basic_consume(queue.name, lambda *delivery: self._deliver(epoch, *delivery)) for queue in queues
            ]

    def _cancel(self) -> None:
        channel = self._session.channel
        if channel is not None and channel.is_open:
            for tag in self._tags:
                channel.basic_cancel(tag)

    def _deliver(
        self, epoch: Epoch, _: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        tag = method.delivery_tag
        self._outstanding[tag] = None
        self._newest = tag
        try:
            message = well_formed(dramatiq.Message.decode(body))
            if message.queue_name != self.queue_name:
                # Dramatiq's worker looks its consumer up by this name, and dies where there is none.
                message = message.copy(queue_name=self.queue_name)
        except (DecodeError, TypeError) as error:
            letter = self._dead_letter.letter_of_body(body, error, self.queue_name, properties.message_id or "")
            self._forward_dead(body, letter, None, epoch, tag)
            return
        delivery = Delivery(message, redelivered=method.redelivered, epoch=epoch, tag=tag, body=body)
        self._outstanding[tag] = delivery
        self._exchange.arrive(delivery)

    def _lost(self, _: str) -> None:
        self._abandon()
        self._tags.clear()
        self._outstanding.clear()

    def _abandon(self) -> None:
        """Give up the keys of what has not started, and never will: who gets it next need not wait for our leases."""
        self._epoch.over = True
        self._exchange.forget()
        for delivery in self._outstanding.values():
            if delivery is not None:
                self._exchange.leave(delivery)

    def _flush(self) -> None:
        """Send the acks and requeues that have come together."""
        channel = self._session.channel
        done: list[int] = []
        settled = [self._settled.popleft() for _ in range(len(self._settled))]
        self._broker.tell_attempts()
        for epoch, tag, requeue in settled:
            if channel is None or epoch is not self._epoch or tag not in self._outstanding:
                log.debug("queue %r: a message ended after its channel did; it is delivered again", self.queue_name)
            elif requeue:
                del self._outstanding[tag]
                channel.basic_nack(tag, requeue=True)
            else:
                del self._outstanding[tag]
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
