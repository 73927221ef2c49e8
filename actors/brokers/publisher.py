"""The one connection of a process that publishes, and waits for RabbitMQ's confirms."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from pika import BasicProperties
from pika.channel import Channel
from pika.frame import Method
from pika.spec import Basic

from actors.brokers.nodes import Nodes
from actors.brokers.session import Session

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Publication:
    """A message on its way into the queue named *queue*; ``properties.message_id`` is never None."""

    queue: str
    body: bytes
    properties: BasicProperties


@dataclass(frozen=True, slots=True)
class Refusal:
    """A publication that RabbitMQ did not confirm.

    Attributes:
        reason: why, in words for a log line.
        maybe_enqueued: it was written, but the answer never came; it may be in the queue all the same.
        unroutable: the queue does not exist.
        hopeless: AMQP has no form for its properties; it was not written, and never can be.
    """

    publication: Publication
    reason: str
    maybe_enqueued: bool = False
    unroutable: bool = False
    hopeless: bool = False


@dataclass(slots=True, eq=False)
class Batch:
    """Publications that were handed in together, and what became of them."""

    publications: Sequence[Publication]
    on_done: Callable[[Batch], None]
    refusals: list[Refusal] = field(default_factory=list)
    open: int = 0

    def __post_init__(self) -> None:
        self.open = len(self.publications)

    def settle(self, refusal: Refusal | None = None) -> None:
        """Count one publication as confirmed, or as refused."""
        if refusal is not None:
            self.refusals.append(refusal)
        self.open -= 1
        if self.open == 0:
            self.on_done(self)


@dataclass(slots=True, eq=False)
class _Written:
    """A publication that RabbitMQ has yet to confirm."""

    publication: Publication
    batch: Batch
    returned: bool = False


class Publisher:
    """Publishes for all threads of a process on one connection, whose confirms it pipelines.

    Its thread starts with the first publication and keeps the connection alive from then on, so that a
    process that is idle for long still holds a good one. After a fork the child starts a thread of its own.

    Args:
        nodes: where to connect when the first publication comes.
        window: how many publications may be written and unconfirmed; the rest wait.
    """

    def __init__(self, nodes: Nodes, *, window: int) -> None:
        self._nodes = nodes
        self._window = window
        self._forget_thread()
        os.register_at_fork(after_in_child=self._forget_thread)

    def _forget_thread(self) -> None:
        # Batches are settled under the lock; what they call may publish again.
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._session: Session | None = None
        self._confirming = False
        self._awake = False
        self._waiting: deque[tuple[Publication, Batch]] = deque()
        self._unconfirmed: dict[int, _Written] = {}
        self._next_tag = 1

    def publish(self, publications: Sequence[Publication], timeout_s: float) -> list[Refusal]:
        """Publish, and wait until RabbitMQ has confirmed all *publications*.

        Returns:
            What was refused, or not confirmed within *timeout_s* seconds; empty when all is well. What is
            returned here is no longer tried.
        """
        if not publications:
            return []
        done = threading.Event()
        batch = Batch(publications, on_done=lambda _: done.set())
        self.submit(batch)
        if not done.wait(timeout_s):
            self._give_up(batch, f"no confirm within {timeout_s:g} s")
        return batch.refusals

    def submit(self, batch: Batch) -> None:
        """Publish *batch* without waiting; its ``on_done`` is called from the publisher's thread."""
        with self._lock:
            session = self._session or self._start()
            self._waiting.extend((publication, batch) for publication in batch.publications)
            if not self._awake:
                # In this order, because a time limit may interrupt the sender between the two.
                session.call_soon(self._write)
                self._awake = True

    def close(self, timeout_s: float = 5.0) -> None:
        """Wait for what is unconfirmed, at most *timeout_s* seconds, and close the connection.

        A publication that comes later opens a new one.
        """
        with self._lock:
            thread, session = self._thread, self._session
        if thread is None or session is None or thread is threading.current_thread():
            return
        session.call_soon(lambda: self._drain(timeout_s))
        thread.join(timeout_s + 2.0)

    # All that follows runs on the publisher's thread, except where it says otherwise.

    def _start(self) -> Session:
        """Start the thread; called with the lock held, by whoever publishes first."""
        self._session = session = Session(
            self._nodes,
            "publisher",
            on_open=self._opened,
            on_lost=self._lost,
            on_unblocked=self._write,
            idle_s=5.0,
        )
        self._thread = threading.Thread(target=self._run, args=[session], name="actors-publisher", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the machine has no more threads; the next send tries again
            self._thread = self._session = None
            session.close()
            raise
        return session

    def _run(self, session: Session) -> None:
        while self._session is session:
            try:
                session.pump()
            except Exception:
                # Whatever it was, its senders must not wait for a thread that is gone.
                log.exception("publisher: unexpected error; opening a new connection")
                session.drop("unexpected error")
        session.close()

    def _opened(self, channel: Channel) -> None:
        self._confirming = False
        self._next_tag = 1
        channel.add_on_return_callback(self._returned)
        channel.confirm_delivery(self._confirmed, callback=self._ready)

    def _ready(self, _: Method[Basic.Ack]) -> None:
        self._confirming = True
        self._write()

    def _write(self) -> None:
        """Write what waits, as far as the window allows."""
        with self._lock:
            self._awake = False
            channel = self._session.channel if self._session is not None else None
            if channel is None or not self._confirming or (self._session and self._session.blocked):
                return
            while self._waiting and len(self._unconfirmed) < self._window:
                publication, batch = self._waiting.popleft()
                try:
                    channel.basic_publish(
                        "", publication.queue, publication.body, publication.properties, mandatory=True
                    )
                except Exception as error:
                    # pika writes nothing of what it can't encode. One such message must not cost all their connection.
                    batch.settle(Refusal(publication, f"it can't be published: {error}", hopeless=True))
                    continue
                self._unconfirmed[self._next_tag] = _Written(publication, batch)
                self._next_tag += 1

    def _confirmed(self, frame: Method[Basic.Ack | Basic.Nack]) -> None:
        answer = frame.method
        refused = isinstance(answer, Basic.Nack)
        with self._lock:
            for written in self._take(answer.delivery_tag, multiple=answer.multiple):
                if written.returned:
                    reason = f"queue {written.publication.queue!r} does not exist"
                    written.batch.settle(Refusal(written.publication, reason, unroutable=True))
                elif refused:
                    written.batch.settle(Refusal(written.publication, "RabbitMQ refused it", maybe_enqueued=True))
                else:
                    written.batch.settle()
            if self._waiting:
                self._write()

    def _take(self, tag: int, *, multiple: bool) -> list[_Written]:
        if not multiple:
            written = self._unconfirmed.pop(tag, None)
            return [written] if written is not None else []
        tags = list(takewhile(lambda each: each <= tag, self._unconfirmed))  # tags rise, and a dict keeps their order
        return [self._unconfirmed.pop(each) for each in tags]

    def _returned(self, _: Channel, method: Basic.Return, properties: BasicProperties, body: bytes) -> None:
        # RabbitMQ names no tag here; it sends the confirm right behind, so marking the first match is enough.
        for written in self._unconfirmed.values():
            publication = written.publication
            same = (publication.queue, publication.properties.message_id) == (method.routing_key, properties.message_id)
            if same and publication.body == body and not written.returned:
                written.returned = True
                return

    def _lost(self, reason: str) -> None:
        with self._lock:
            self._confirming = False
            lost, self._unconfirmed = self._unconfirmed, {}
            for written in lost.values():
                refusal = Refusal(written.publication, f"the connection was lost ({reason})", maybe_enqueued=True)
                written.batch.settle(refusal)

    def explain(self, reason: str) -> str:
        """Return why nothing is confirmed, where that is known better than *reason*; safe from any thread."""
        with self._lock:
            session = self._session
            if session is not None and session.blocked:
                return f"RabbitMQ has blocked publishers: {session.blocked}"
            if session is not None and session.channel is None and session.last_error:
                return f"{reason}; no connection to {self._nodes}: {session.last_error}"
            return reason

    def withdraw(self, batch: Batch) -> None:
        """Forget what of *batch* is not written yet; safe from any thread."""
        with self._lock:
            self._waiting = deque(each for each in self._waiting if each[1] is not batch)

    def _give_up(self, batch: Batch, reason: str) -> None:
        """Stop trying *batch* and count what is open as refused; runs on the thread of who waited."""
        with self._lock:
            reason = self.explain(reason)
            unsent = [publication for publication, owner in self._waiting if owner is batch]
            self.withdraw(batch)
            unanswered = [tag for tag, written in self._unconfirmed.items() if written.batch is batch]
            # Taken out, lest what a stuck queue never confirms fills the window and stops all other queues.
            written = [self._unconfirmed.pop(tag) for tag in unanswered]
            batch.refusals.extend(Refusal(each.publication, reason, maybe_enqueued=True) for each in written)
            batch.refusals.extend(Refusal(publication, reason) for publication in unsent)

    def _drain(self, seconds_left: float) -> None:
        """Stop once nothing is unconfirmed, or *seconds_left* have passed."""
        with self._lock:
            idle = not self._waiting and not self._unconfirmed
            if idle or seconds_left <= 0:
                self._lost("the publisher was closed")
                self._thread = self._session = None
                return
        assert self._session is not None  # noqa: S101
        self._session.call_later(0.05, lambda: self._drain(seconds_left - 0.05))
