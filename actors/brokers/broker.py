"""The broker of an application: Dramatiq's, on an engine that is chosen when it is first needed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

import dramatiq
from dramatiq.common import q_name
from dramatiq.errors import QueueJoinTimeout
from dramatiq.middleware import Middleware

from actors.brokers.delivery import DropStale
from actors.brokers.dispatch import Dispatch
from actors.brokers.engine import Engine
from actors.brokers.outgoing import Outgoing

Message = dramatiq.Message[Any]
E_co = TypeVar("E_co", bound=Engine, covariant=True)

# Held while an engine is chosen, of which a process has one, as a rule.
_choosing = threading.Lock()

# How many messages of an `enqueue_many` are encoded and in memory at once.
CHUNK = 1_000


class Broker(Dispatch, Generic[E_co]):
    """A broker that keeps its word.

    A send returns once the message is durable, or raises. A message is acked once its outcome is durable. Nothing is
    opened, and nothing connects, before the first send or the start of a worker.

    Args:
        engine: called once, when it is first needed, so that a broker can exist before the settings do.
        middleware: the whole list, in order.
    """

    def __init__(self, engine: Callable[[], E_co], *, middleware: list[Middleware]) -> None:
        self._make_engine = engine
        self._engine: E_co | None = None
        super().__init__(middleware=[DropStale(), *middleware, EngineAtWork()])
        self.queues: set[str] = set()

    @property
    def engine(self) -> E_co:
        """What keeps the messages.

        Raises:
            SettingsError: a setting is malformed, or names none that may be used.
        """
        if self._engine is None:
            with _choosing:
                if self._engine is None:
                    self._engine = self._make_engine()
        return self._engine

    @property
    def is_in_use(self) -> bool:
        """Whether its engine is chosen, and can't be another any more."""
        return self._engine is not None

    @property
    def max_message_bytes(self) -> int:
        """How large an encoded message may be."""
        return self.engine.max_message_bytes

    def get_declared_queues(self) -> set[str]:
        """Return the names of all queues that are declared."""
        return self.queues.copy()

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Note that *queue_name* is used; with *ensure*, make it exist.

        Raises:
            ConnectionFailed: with *ensure*, when the engine does not answer.
            QueueMismatch: with *ensure*, when it exists with other arguments.
        """
        name = q_name(queue_name)
        if name not in self.queues:
            self.emit_before("declare_queue", name)
            self.queues.add(name)
            self.emit_after("declare_queue", name)
        if ensure:
            self.engine.ensure(name)

    def enqueue(self, message: Message, *, delay: int | None = None) -> Message:
        """Send *message*, and return it once it is durable.

        In the after-hooks of an attempt it is published later, before the attempt's message is acked.

        Args:
            message: what to send.
            delay: milliseconds to wait before it may run.

        Raises:
            EnqueueError: it is not known to be durable in time, or after as many attempts as are allowed.
            QueueMismatch: its queue exists with other arguments.
            AccessRefused: the user of the URL has no right to its queue.
            NotEncodable, MessageTooLarge: nothing was sent.
        """
        self._send([message], delay)
        return message

    def enqueue_many(self, messages: Iterable[Message], *, delay: int | None = None) -> list[Message]:
        """Send *messages* together; many times faster than one by one.

        Messages are taken from the iterable a thousand at a time.

        Args:
            messages: what to send, each to its own actor's queue.
            delay: milliseconds to wait before they may run.

        Returns:
            The messages, all durable.

        Raises:
            EnqueueError: some were not confirmed: its ``unconfirmed``. Those taken before them are; later ones were
                not tried.
            QueueMismatch, NotEncodable, MessageTooLarge: as for :meth:`enqueue`; the thousand it is in was not sent.
        """
        sent: list[Message] = []
        for chunk in _chunks(messages):
            self._send(chunk, delay)
            sent.extend(chunk)
        return sent

    def record_run(self, pace: str, body: bytes) -> None:
        """Let a record of a run follow the attempt that ends in this thread.

        Nothing depends on it: where it can't be kept, the attempt ends without it.
        """
        outbox = self.outbox
        if outbox is not None and (record := self.engine.run_record(pace, body)) is not None:
            outbox.append(record)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> dramatiq.Consumer:
        """Return a consumer of logical queue *queue_name*.

        Args:
            queue_name: the logical queue.
            prefetch: ignored; ``ACTORS_PREFETCH`` counts.
            timeout: milliseconds that an idle consumer waits before it yields None.
        """
        return self.engine.consume(self, queue_name, idle_ms=timeout)

    def get_queue_message_counts(self, queue_name: str) -> tuple[int, int, int]:
        """Return how many messages of *queue_name* are ready, delayed as far as the queue knows, and dead."""
        return self.engine.counts(queue_name)

    def flush(self, queue_name: str) -> None:
        """Drop all messages of *queue_name*, its dead letters included."""
        self.engine.purge([queue_name])

    def flush_all(self) -> None:
        """Drop all messages of all declared queues, their dead letters included."""
        self.engine.purge(sorted(self.queues))

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
            successes = successes + 1 if self.engine.counts(queue_name)[0] == 0 else 0
            time.sleep(idle_time / 1000)

    def close(self) -> None:
        """Wait for what is not durable yet, and let go of everything. A later send takes it up again."""
        if self.is_in_use:
            self.engine.close()

    def choose_anew(self) -> None:
        """Let the engine go; the next use chooses one. For tests."""
        self.close()
        self._engine = None

    def _send(self, messages: list[Message], delay: int | None) -> None:
        try:
            outgoing = [self._outgoing(message, delay) for message in messages]
            if self._follows(outgoing):
                return
            self.engine.send(outgoing)
        except BaseException as error:
            self.tell_refused(messages, error)
            raise
        for message in messages:
            self.emit_after("enqueue", message, delay)

    def _follows(self, outgoing: Iterable[Outgoing]) -> bool:
        """Put *outgoing* in the outbox of the attempt that ends in this thread, if one does; return whether."""
        outbox = self.outbox
        if outbox is None:
            return False
        outbox.extend([self.engine.following(each) for each in outgoing])
        return True

    def _outgoing(self, message: Message, delay: int | None) -> Outgoing:
        self.emit_before("enqueue", message, delay)
        self.declare_queue(message.queue_name)
        due = None if delay is None else time.time_ns() // 1_000_000 + delay
        return Outgoing(message, self.encoded(message), delay, due)


class EngineAtWork(Middleware):
    """Starts with each worker what its engine needs beside it, and ends that with it."""

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Start it."""
        assert isinstance(broker, Broker)  # noqa: S101
        broker.engine.start_work()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """End it."""
        assert isinstance(broker, Broker)  # noqa: S101
        broker.engine.stop_work()


def _chunks(messages: Iterable[Message]) -> Iterator[list[Message]]:
    iterator = iter(messages)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _forget_who_chooses() -> None:
    global _choosing
    _choosing = threading.Lock()


# Who chose when this process was forked is not here.
os.register_at_fork(after_in_child=_forget_who_chooses)
