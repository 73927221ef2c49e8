"""The RabbitMQ broker: Dramatiq's, with confirms, durable delays and consumers that recover by themselves."""

from __future__ import annotations

import atexit
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker as DramatiqRabbitmqBroker
from dramatiq.common import q_name
from dramatiq.errors import BrokerError, QueueJoinTimeout
from dramatiq.middleware import Middleware
from pika import BasicProperties, ConnectionParameters

from actors.brokers.admin import Admin
from actors.brokers.buried import bury
from actors.brokers.consumer import Consumer
from actors.brokers.declarations import Declarations
from actors.brokers.delays import Relay
from actors.brokers.delivery import DropStale
from actors.brokers.dispatch import Dispatch
from actors.brokers.nodes import Nodes
from actors.brokers.publisher import Batch, Publication, Publisher
from actors.brokers.sender import Following, Outgoing, Sender
from actors.brokers.topology import Topology
from actors.errors import NotEncodable
from middleware import Letter
from periodic.pace import Pace

Message = dramatiq.Message[Any]

# How many messages of an `enqueue_many` are encoded and in memory at once.
CHUNK = 1_000
# How long no run is recorded after that has failed, in seconds.
NO_RECORDS_FOR_S = 60.0


@dataclass(frozen=True, slots=True)
class RabbitmqOptions:
    """What a :class:`RabbitmqBroker` needs to know.

    Attributes:
        nodes: where RabbitMQ is.
        topology: what queues are named, and declared with.
        prefetch: messages delivered and unacked, a queue and worker process.
        publish_timeout_s: seconds that one send may take, all its attempts and their pauses included.
        publish_attempts: how often a message is written to a connection before its send gives up.
        publish_window: messages written and unconfirmed, a process.
        max_message_bytes: the size of an encoded message that is refused when exceeded.
        dead_letter_retention_ms: after how many milliseconds RabbitMQ drops a dead letter; None for never.
    """

    nodes: Nodes
    topology: Topology
    prefetch: int = 100
    publish_timeout_s: float = 10.0
    publish_attempts: int = 5
    publish_window: int = 500
    max_message_bytes: int = 131_072
    dead_letter_retention_ms: int | None = None


class RabbitmqBroker(Dispatch, DramatiqRabbitmqBroker):
    """Dramatiq's RabbitMQ broker, made to keep its word.

    A send returns once RabbitMQ has confirmed the message, or raises. A message is acked once its outcome is durable.
    Delays wait in RabbitMQ, not in a worker's memory. Nothing connects before the first send or the start of a worker.

    Args:
        options: called when they are first needed, so that a broker can exist before the settings do.
        middleware: the whole list, in order.
    """

    def __init__(self, options: Callable[[], RabbitmqOptions], *, middleware: list[Middleware]) -> None:
        self.options = options
        self._no_records_until = float("-inf")
        super().__init__(confirm_delivery=True, middleware=[DropStale(), *middleware, RelayThread()])
        self.declarations = Declarations(
            lambda: self.options().nodes, lambda: self.options().topology, self.get_declared_queues
        )
        self.publisher = Publisher(lambda: self.options().nodes, window=lambda: self.options().publish_window)
        atexit.register(self.publisher.close)

    @property
    def parameters(self) -> list[ConnectionParameters]:
        """What Dramatiq's own ``connection`` and ``channel`` connect with."""
        return self.options().nodes.parameters("application")

    @parameters.setter
    def parameters(self, _: object) -> None:
        # Dramatiq sets its default here while ours is not known yet.
        pass

    @property
    def max_message_bytes(self) -> int:
        """How large an encoded message may be."""
        return self.options().max_message_bytes

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Note that *queue_name* is used; with *ensure*, make it exist in RabbitMQ.

        Raises:
            ConnectionFailed: with *ensure*, when RabbitMQ does not answer.
            QueueMismatch: with *ensure*, when it exists with other arguments.
        """
        name = q_name(queue_name)
        if name not in self.queues:
            self.emit_before("declare_queue", name)
            self.queues.add(name)
            self.emit_after("declare_queue", name)
        if ensure:
            self.declarations.work(name)

    def enqueue(self, message: Message, *, delay: int | None = None) -> Message:
        """Send *message*, and return it once RabbitMQ has confirmed it.

        In the after-hooks of an attempt it is published later, before the attempt's message is acked.

        Args:
            message: what to send.
            delay: milliseconds to wait before it may run.

        Raises:
            EnqueueError: RabbitMQ did not confirm it in time, or in as many attempts as are allowed.
            QueueMismatch: its queue exists with other arguments.
            AccessRefused: the user of the URL has no right to its queue.
            NotEncodable, MessageTooLarge: nothing was sent.
        """
        outgoing = self._outgoing(message, delay)
        if not self._follows([outgoing]):
            self._sender().send([outgoing])
            self.emit_after("enqueue", message, delay)
        return message

    def enqueue_many(self, messages: Iterable[Message], *, delay: int | None = None) -> list[Message]:
        """Send *messages* with pipelined confirms; many times faster than one by one.

        Messages are taken from the iterable a thousand at a time.

        Args:
            messages: what to send, each to its own actor's queue.
            delay: milliseconds to wait before they may run.

        Returns:
            The messages, all confirmed.

        Raises:
            EnqueueError: some were not confirmed: its ``unconfirmed``. Those taken before them are; later ones were
                not tried.
            QueueMismatch, NotEncodable, MessageTooLarge: as for :meth:`enqueue`; the thousand it is in was not sent.
        """
        sent: list[Message] = []
        for chunk in _chunks(messages):
            outgoing = [self._outgoing(message, delay) for message in chunk]
            if not self._follows(outgoing):
                self._sender().send(outgoing)
                for message in chunk:
                    self.emit_after("enqueue", message, delay)
            sent.extend(chunk)
        return sent

    def record_run(self, pace: str, body: bytes) -> None:
        """Let a record of a run follow the attempt that ends in this thread.

        Nothing depends on it: where it can't be kept, the attempt ends without it.
        """
        outbox = self.outbox
        if outbox is None or time.monotonic() < self._no_records_until:
            return
        try:
            queue = self.declarations.runs(Pace(pace))
        except ValueError:
            self.logger.warning("a run of a tick is not recorded: no schedule has the pace %r", pace)
            return
        except BrokerError as error:
            # Each attempt costs a connection: a user without the right to it would open one for each tick.
            self._no_records_until = time.monotonic() + NO_RECORDS_FOR_S
            self.logger.warning("runs of ticks are not recorded for %d s: %s", NO_RECORDS_FOR_S, error)
            return
        properties = BasicProperties(message_id=str(uuid.uuid4()), delivery_mode=2)
        outbox.append(Following(None, Publication(queue.name, body, properties)))

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Return a consumer of logical queue *queue_name* and of its earlier generations.

        Args:
            queue_name: the logical queue.
            prefetch: ignored; ``RabbitmqOptions.prefetch`` counts.
            timeout: milliseconds that an idle consumer waits before it yields None.
        """
        options = self.options()
        return Consumer(
            self,
            options.nodes,
            queue_name=queue_name,
            find_queues=self.declarations.generations,
            guard=self.guard,
            dead_letter=self.dead_letter,
            bury=self._bury,
            forward=self._forward,
            prefetch=options.prefetch,
            idle_ms=timeout,
        )

    def get_queue_message_counts(self, queue_name: str) -> tuple[int, int, int]:
        """Return how many messages are ready in *queue_name*, delayed (always 0 here), and dead."""
        topology = self.options().topology
        with self._admin() as admin:
            ready = [admin.depth(queue) for queue in [topology.work(queue_name), *topology.earlier(queue_name)]]
            dead = admin.depth(topology.dead(queue_name))
        return sum(depth.messages for depth in ready if depth), 0, dead.messages if dead else 0

    def flush(self, queue_name: str) -> None:
        """Drop all messages of *queue_name*, its dead letters included."""
        topology = self.options().topology
        with self._admin() as admin:
            for queue in (topology.work(queue_name), *topology.earlier(queue_name), topology.dead(queue_name)):
                admin.purge(queue)

    def join(
        self, queue_name: str, min_successes: int = 10, idle_time: int = 100, *, timeout: int | None = None
    ) -> None:
        """Wait until *queue_name* has been seen empty *min_successes* times, *idle_time* ms apart; for tests.

        Raises:
            QueueJoinTimeout: after *timeout* milliseconds.
        """
        deadline = time.monotonic() + (timeout or float("inf")) / 1000
        successes = 0
        while successes < min_successes:
            if time.monotonic() >= deadline:
                raise QueueJoinTimeout(queue_name)
            successes = successes + 1 if self.get_queue_message_counts(queue_name)[0] == 0 else 0
            time.sleep(idle_time / 1000)

    def close(self) -> None:
        """Wait for what is unconfirmed, and disconnect. A later send connects again."""
        self.publisher.close()
        super().close()

    def _sender(self) -> Sender:
        options = self.options()
        return Sender(
            self.declarations,
            self.publisher,
            timeout_s=options.publish_timeout_s,
            attempts=options.publish_attempts,
        )

    def _admin(self) -> Admin:
        options = self.options()
        return Admin(options.nodes, timeout_s=options.publish_timeout_s)

    def _bury(self, body: bytes, letter: Letter) -> Publication:
        """Return what to publish so that *body* is among the dead letters, with what *letter* says of it."""
        queue = self.declarations.dead(letter.queue)
        return bury(queue, body, letter, retention_ms=self.options().dead_letter_retention_ms)

    def _follows(self, outgoing: Iterable[Outgoing]) -> bool:
        """Put *outgoing* in the outbox of the attempt that ends in this thread, if one does; return whether."""
        outbox = self.outbox
        if outbox is None:
            return False
        for each in outgoing:
            publication = each.publication(self.declarations, timeout_s=self.options().publish_timeout_s)
            try:
                publication.properties.encode()
            except Exception as error:
                raise NotEncodable(f"message {each.message.message_id}: it can't be published: {error}") from error
            outbox.append(Following(each, publication))
        return True

    def _forward(self, publications: Sequence[Publication], done: Callable[[bool], None]) -> None:
        """Publish *publications*; then call *done* with whether all are confirmed."""

        def check(batch: Batch) -> None:
            for refusal in batch.refusals:
                self.logger.warning("message %s: %s", refusal.publication.properties.message_id, refusal.reason)
                if refusal.unroutable:
                    self.declarations.forget()
            done(not batch.refusals)

        self.publisher.submit(Batch(publications, check))

    def _outgoing(self, message: Message, delay: int | None) -> Outgoing:
        self.emit_before("enqueue", message, delay)
        self.declare_queue(message.queue_name)
        return Outgoing(
            message, self.encoded(message), delay, None if delay is None else time.time_ns() // 1_000_000 + delay
        )


class RelayThread(Middleware):
    """Runs the relay of delayed messages in each worker process."""

    def __init__(self) -> None:
        self._relay: Relay | None = None

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Start the relay."""
        assert isinstance(broker, RabbitmqBroker)  # noqa: S101
        self._relay = Relay(broker.options().nodes, broker.declarations, broker.publisher)
        self._relay.start()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Stop it."""
        if self._relay is not None:
            self._relay.stop()
            self._relay = None


def _chunks(messages: Iterable[Message]) -> Iterator[list[Message]]:
    iterator = iter(messages)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
