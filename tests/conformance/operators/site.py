"""A broker under test with what its operators see: dead letters and delayed messages, put where workers put them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import dramatiq
import pika

from actors.brokers.broker import Broker
from actors.brokers.engine import Engine
from actors.brokers.rabbitmq import RabbitmqBroker
from actors.brokers.sqlite import SqliteEngine
from actors.brokers.sqlite.dead_letters import Burial, bury
from actors.dead_letters import Dead, DeadLetters
from actors.decorator import Actor
from actors.delayed import DelayedMessages, Page
from middleware import Letter
from middleware.failure import Failure, Reason
from middleware.stores import Store

FIRST_DIED = 1_000_000


class Site:
    """A broker of one environment, whatever its engine is.

    Attributes:
        broker: with no actors yet.
        store: of the keys of its messages.
        letters: its dead letters.
        delayed: its delayed messages.
    """

    def __init__(self, broker: Broker[Engine], store: Store) -> None:
        self.broker = broker
        self.store = store
        self.letters = DeadLetters(broker, ["default", "reports"])
        self.delayed = DelayedMessages(broker, lambda: store)
        self._work = ExitStack()
        broker.declare_queue("default", ensure=True)
        broker.declare_queue("reports")

    def put_in_graves(self, letters: Sequence[tuple[Letter, bytes]]) -> None:
        """Put dead letters behind the others."""
        raise NotImplementedError

    def waiting(self, queue: str = "default") -> list[dramatiq.Message[Any]]:
        """Take what is ready in a work queue."""
        raise NotImplementedError

    def bury(self, *names: str, **options: Any) -> None:
        """Put a dead letter for each of *names* behind the others: they are the ids of their messages."""
        self.put_in_graves([self.letter(name, number, **options) for number, name in enumerate(names)])

    def bury_bytes(self, body: bytes) -> None:
        """Put one there that can't be decoded."""
        letter = Letter.of_body(body, ValueError("no"), queue="default", died=FIRST_DIED)
        self.put_in_graves([(letter, body)])

    def letter(
        self,
        name: str,
        number: int = 0,
        *,
        queue: str = "default",
        actor: str = "job",
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        failure: Failure | None = None,
        died: int | None = None,
        **options: Any,
    ) -> tuple[Letter, bytes]:
        message: dramatiq.Message[Any] = dramatiq.Message(
            queue, actor, tuple([name] if args is None else args), kwargs or {}, options, message_id=name
        )
        failure = failure or Failure(Reason.EXHAUSTED, "ValueError", "boom")
        letter = Letter.of(message, failure, queue=queue, died=FIRST_DIED + number if died is None else died)
        return letter, message.encode()

    def names(self, **options: Any) -> list[str]:
        """The ids of the messages of all dead letters, in their order."""
        return ids(self.letters.look(limit=100_000, **options).letters)

    def count(self) -> int:
        return sum(stock.count for stock in self.letters.stock())

    def delay(self, name: str, ms: int, *, queue: str = "default", actor: str = "job", **options: Any) -> None:
        """Send a message with the id *name* that is due in *ms* milliseconds."""
        message = dramatiq.Message[None](queue, actor, (name,), {}, options, message_id=name)
        self.broker.enqueue(message, delay=ms)

    def declare(self, fn: Callable[..., Any], **options: Any) -> Actor[..., Any]:
        """Declare *fn*, which may be nested, as an actor."""
        return Actor(
            fn,
            broker=self.broker,
            actor_name=options.pop("actor_name", "job"),
            queue_name=options.pop("queue_name", "default"),
            priority=0,
            options=options,
        )

    def declare_job(self, ran: list[str] | None = None, **options: Any) -> Actor[..., Any]:
        """Declare an actor that fails for good where its argument begins with "bad"."""

        def job(name: str) -> None:
            if ran is not None:
                ran.append(name)
            if name.startswith("bad"):
                raise ValueError(name)

        return self.declare(job, max_retries=0, **options)

    def work(self) -> None:
        """Start a worker in this process; it is stopped at the end."""
        worker = dramatiq.Worker(self.broker, worker_threads=4, worker_timeout=50)
        worker.start()
        self._work.callback(worker.stop, timeout=10_000)

    def rest(self) -> None:
        """Stop all workers."""
        self._work.close()

    def close(self) -> None:
        self.rest()
        self.broker.close()


class RabbitmqSite(Site):
    """On the session's RabbitMQ and Redis."""

    def __init__(self, broker: RabbitmqBroker, store: Store) -> None:
        self.rabbitmq = broker
        super().__init__(broker, store)

    def put_in_graves(self, letters: Sequence[tuple[Letter, bytes]]) -> None:
        publications = [self.rabbitmq.engine.bury(body, letter) for letter, body in letters]
        assert self.rabbitmq.engine.publisher.publish(publications, 30) == []

    def waiting(self, queue: str = "default") -> list[dramatiq.Message[Any]]:
        options = self.rabbitmq.engine.options
        name, found = options.topology.work(queue).name, []
        with pika.BlockingConnection(pika.URLParameters(options.nodes.urls[0])) as connection:
            channel = connection.channel()
            while (got := channel.basic_get(name, auto_ack=True))[0] is not None:
                found.append(dramatiq.Message.decode(got[2]))
        return found


class SqliteSite(Site):
    """On a file of the test's own."""

    def __init__(self, broker: Broker[SqliteEngine], store: Store) -> None:
        self.embedded = broker
        super().__init__(broker, store)

    def put_in_graves(self, letters: Sequence[tuple[Letter, bytes]]) -> None:
        options = self.embedded.engine.options
        retention_ms = options.dead_letter_retention_ms
        with options.file.write() as connection:
            for letter, body in letters:
                expires = None if retention_ms is None else letter.died + retention_ms
                bury(connection, Burial(letter, body, expires))

    def waiting(self, queue: str = "default") -> list[dramatiq.Message[Any]]:
        with self.embedded.engine.options.file.write() as connection:
            rows = connection.execute(
                "DELETE FROM actors_message WHERE queue = ? AND available = 0 RETURNING id, body", (queue,)
            ).fetchall()
        return [dramatiq.Message.decode(body) for _, body in sorted(rows)]


def ids(letters: Sequence[Dead]) -> list[str]:
    return [dead.letter.message_id for dead in letters]


def delayed_names(page: Page) -> list[str]:
    return [message.message_id for message in page.messages]


@contextmanager
def returned(site: Site) -> Iterator[None]:
    """Require that the block leaves all dead letters as and where they were."""
    before = [(dead.letter, dead.found_in, dead.expires) for dead in site.letters.look(limit=100_000).letters]
    yield
    after = [(dead.letter, dead.found_in, dead.expires) for dead in site.letters.look(limit=100_000).letters]
    assert after == before
