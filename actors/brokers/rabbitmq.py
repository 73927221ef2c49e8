"""RabbitMQ as the engine of a broker: confirms, durable delays, and consumers that recover by themselves."""

from __future__ import annotations

import atexit
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dramatiq.errors import BrokerError
from dramatiq.middleware import Middleware
from pika import BasicProperties

from actors.brokers.admin import Admin
from actors.brokers.broker import Broker
from actors.brokers.buried import bury
from actors.brokers.consumer import Consumer
from actors.brokers.declarations import Declarations
from actors.brokers.delays import Relay
from actors.brokers.dispatch import Dispatch
from actors.brokers.nodes import Nodes
from actors.brokers.outgoing import Following, Outgoing
from actors.brokers.publisher import Batch, Publication, Publisher
from actors.brokers.sender import Sender, publication_of
from actors.brokers.topology import Topology
from actors.errors import NotEncodable
from middleware import Letter
from periodic.pace import Pace

log = logging.getLogger(__name__)

# How long no run is recorded after that has failed, in seconds.
NO_RECORDS_FOR_S = 60.0


@dataclass(frozen=True, slots=True)
class RabbitmqOptions:
    """What a :class:`RabbitmqEngine` needs to know.

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


class RabbitmqEngine:
    """See :class:`~actors.brokers.engine.Engine`. Delays wait in RabbitMQ, not in a worker's memory.

    Args:
        options: what to work with.
        known: called for the logical queues that actors use.
    """

    def __init__(self, options: RabbitmqOptions, known: Callable[[], Iterable[str]]) -> None:
        self.options = options
        self.declarations = Declarations(options.nodes, options.topology, known)
        self.publisher = Publisher(options.nodes, window=options.publish_window)
        self._relay: Relay | None = None
        self._no_records_until = float("-inf")
        atexit.register(self.publisher.close)

    @property
    def where(self) -> str:
        """Its nodes, with passwords masked."""
        return str(self.options.nodes)

    @property
    def max_message_bytes(self) -> int:
        """How large an encoded message may be."""
        return self.options.max_message_bytes

    def ensure(self, queue_name: str) -> None:
        """Make the logical queue *queue_name* exist."""
        self.declarations.work(queue_name)

    def send(self, outgoing: list[Outgoing]) -> None:
        """Return once RabbitMQ has confirmed all of *outgoing*."""
        options = self.options
        sender = Sender(
            self.declarations,
            self.publisher,
            timeout_s=options.publish_timeout_s,
            attempts=options.publish_attempts,
        )
        sender.send(outgoing)

    def following(self, outgoing: Outgoing) -> Following:
        """Return what sends *outgoing* when the outcome of an attempt is recorded."""
        publication = publication_of(outgoing, self.declarations, timeout_s=self.options.publish_timeout_s)
        try:
            publication.properties.encode()
        except Exception as error:
            raise NotEncodable(f"message {outgoing.message.message_id}: it can't be published: {error}") from error
        return Following(outgoing, publication)

    def run_record(self, pace: str, record: bytes) -> Following | None:
        """Return what keeps the *record* of a run of a tick."""
        if time.monotonic() < self._no_records_until:
            return None
        try:
            queue = self.declarations.runs(Pace(pace))
        except ValueError:
            log.warning("a run of a tick is not recorded: no schedule has the pace %r", pace)
            return None
        except BrokerError as error:
            # Each attempt costs a connection: a user without the right to it would open one for each tick.
            self._no_records_until = time.monotonic() + NO_RECORDS_FOR_S
            log.warning("runs of ticks are not recorded for %d s: %s", NO_RECORDS_FOR_S, error)
            return None
        properties = BasicProperties(message_id=str(uuid.uuid4()), delivery_mode=2)
        return Following(None, Publication(queue.name, record, properties))

    def consume(self, broker: Dispatch, queue_name: str, *, idle_ms: int) -> Consumer:
        """Return a consumer of logical queue *queue_name* and of its earlier generations."""
        return Consumer(
            broker,
            self.options.nodes,
            queue_name=queue_name,
            find_queues=self.declarations.generations,
            guard=broker.guard,
            dead_letter=broker.dead_letter,
            bury=self.bury,
            forward=self._forward,
            prefetch=self.options.prefetch,
            idle_ms=idle_ms,
        )

    def start_work(self) -> None:
        """Start the relay of delayed messages."""
        self._relay = Relay(self.options.nodes, self.declarations, self.publisher)
        self._relay.start()

    def stop_work(self) -> None:
        """Stop it."""
        if self._relay is not None:
            self._relay.stop()
            self._relay = None

    def counts(self, queue_name: str) -> tuple[int, int, int]:
        """Return how many messages are ready in *queue_name*, delayed (always 0 here), and dead."""
        topology = self.options.topology
        with self._admin() as admin:
            ready = [admin.depth(queue) for queue in [topology.work(queue_name), *topology.earlier(queue_name)]]
            dead = admin.depth(topology.dead(queue_name))
        return sum(depth.messages for depth in ready if depth), 0, dead.messages if dead else 0

    def purge(self, queue_names: Sequence[str]) -> None:
        """Drop all messages of *queue_names*, their dead letters included."""
        topology = self.options.topology
        with self._admin() as admin:
            for name in queue_names:
                for queue in (topology.work(name), *topology.earlier(name), topology.dead(name)):
                    admin.purge(queue)

    def close(self) -> None:
        """Wait for what is unconfirmed, and disconnect."""
        self.publisher.close()

    def bury(self, body: bytes, letter: Letter) -> Publication:
        """Return what to publish so that *body* is among the dead letters, with what *letter* says of it."""
        queue = self.declarations.dead(letter.queue)
        return bury(queue, body, letter, retention_ms=self.options.dead_letter_retention_ms)

    def _admin(self) -> Admin:
        return Admin(self.options.nodes, timeout_s=self.options.publish_timeout_s)

    def _forward(self, publications: Sequence[Publication], done: Callable[[bool], None]) -> None:
        """Publish *publications*; then call *done* with whether all are confirmed."""

        def check(batch: Batch) -> None:
            for refusal in batch.refusals:
                log.warning("message %s: %s", refusal.publication.properties.message_id, refusal.reason)
                if refusal.unroutable:
                    self.declarations.forget()
            done(not batch.refusals)

        self.publisher.submit(Batch(publications, check))


class RabbitmqBroker(Broker[RabbitmqEngine]):
    """A broker on RabbitMQ, whatever the settings say.

    Args:
        options: called when they are first needed.
        middleware: the whole list, in order.
    """

    def __init__(self, options: Callable[[], RabbitmqOptions], *, middleware: list[Middleware]) -> None:
        super().__init__(lambda: RabbitmqEngine(options(), self.get_declared_queues), middleware=middleware)
