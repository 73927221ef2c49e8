"""A broker in memory that takes and refuses what the RabbitMQ broker would."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import dramatiq
from dramatiq.brokers.stub import StubBroker as DramatiqStubBroker
from dramatiq.errors import QueueJoinTimeout, QueueNotFound
from dramatiq.middleware import Middleware

from actors.brokers.dispatch import Dispatch
from actors.testing.clock import Clock
from actors.testing.consumer import StubConsumer
from actors.testing.messages import Delivery, EnqueuedMessage, Entry, Following
from middleware.suggestion import did_you_mean

Message = dramatiq.Message[Any]


class StubBroker(Dispatch, DramatiqStubBroker):
    """Dramatiq's stub broker, with our encoding, limits and hooks, and delays that follow a clock.

    :func:`~actors.testing.drain` runs what waits here; so does a ``dramatiq.Worker``, on its threads.

    Args:
        middleware: the whole list, in order.
        max_message_bytes: called at each send for the size of a message that is refused when exceeded.

    Attributes:
        clock: decides when delayed messages are due.
        queues: what waits, by queue.
        unacked: how many messages were taken and not settled yet, by queue.
        changed: notified whenever one of them changes, and held to change them.
    """

    def __init__(self, *, middleware: list[Middleware], max_message_bytes: Callable[[], int]) -> None:
        super().__init__(middleware)
        self.clock = Clock()
        self.queues: dict[str, list[Entry]] = {}
        self.unacked: Counter[str] = Counter()
        self.changed = threading.Condition()
        self._max_message_bytes = max_message_bytes
        self._sequence = count(1)

    @property
    def max_message_bytes(self) -> int:
        """How large an encoded message may be."""
        return self._max_message_bytes()

    def declare_queue(self, queue_name: str) -> None:
        """Note that *queue_name* is used."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = []
            self.emit_after("declare_queue", queue_name)

    def enqueue(self, message: Message, *, delay: int | None = None) -> Message:
        """Keep *message*, encoded, until it is drained.

        Args:
            message: what to send.
            delay: milliseconds by the clock before it may run.

        Raises:
            NotEncodable, MessageTooLarge: as from the RabbitMQ broker.
        """
        self.emit_before("enqueue", message, delay)
        self.declare_queue(message.queue_name)
        body = self.encoded(message)
        wait = timedelta(milliseconds=delay or 0)
        with self.changed:
            entry = Entry(
                due=self.clock.now() + wait,
                sequence=next(self._sequence),
                queue_name=message.queue_name,
                body=body,
                delay=wait,
                eta=datetime.now(UTC) + wait,
            )
        if self.outbox is not None:
            self.outbox.append(Following(message, delay, entry))
            return message
        self.put(entry)
        self.emit_after("enqueue", message, delay)
        return message

    def put(self, entry: Entry) -> None:
        """Let *entry* wait in its queue."""
        with self.changed:
            self.queues[entry.queue_name].append(entry)
            self.changed.notify_all()

    def waiting(self, queues: Collection[str] = ()) -> list[Entry]:
        """Return what waits in *queues*, or in all, in the order in which it becomes due.

        Raises:
            QueueNotFound: no actor and no message uses one of them.
        """
        for queue in queues:
            if queue not in self.queues:
                raise QueueNotFound(f"no actor uses queue {queue!r}{did_you_mean(queue, self.queues)}")
        with self.changed:
            return sorted(entry for queue in queues or self.queues for entry in self.queues[queue])

    def take(self, entry: Entry) -> Delivery:
        """Remove *entry* from its queue, for a worker that will settle it."""
        with self.changed:
            self.queues[entry.queue_name].remove(entry)
            self.unacked[entry.queue_name] += 1
        return Delivery(entry)

    def conclude(self, delivery: Delivery) -> None:
        """Record the outcome of an attempt, then let come what follows it, unless another has taken its key over."""
        self.tell_attempts()
        guarded = delivery.guarded
        guard = self.guard
        if guard is not None and guarded is not None and guarded.outcome is not None:
            outcome, guarded.outcome = guarded.outcome, None
            if not guard.exchange([outcome], [])[0]:
                self.settle(delivery)
                return
        if not delivery.requeue:
            for each in delivery.outbox:
                self.put(each.entry)
                self.emit_after("enqueue", each.message, each.delay)
            if delivery.failed:
                letter = self.dead_letter.letter_of(delivery, delivery.entry.queue_name)
                self.dead_letter.forwarded(letter, delivery.error)
        self.settle(delivery, requeue=delivery.requeue, dead=delivery.failed)

    def settle(self, delivery: Delivery, *, requeue: bool = False, dead: bool = False) -> None:
        """Note the end of a delivery: it is done, goes back to its queue, or to the dead letters."""
        with self.changed:
            self.unacked[delivery.entry.queue_name] -= 1
            if requeue:
                self.put(delivery.entry)
            elif dead:
                self.dead_letters_by_queue[delivery.entry.queue_name].append(delivery)
            self.changed.notify_all()

    def describe(self, entry: Entry) -> EnqueuedMessage:
        """Return *entry* as a test sees it."""
        actor_name = dramatiq.Message.decode(entry.body).actor_name
        return EnqueuedMessage.of(entry, self.actors.get(actor_name))

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Call the hooks, and note in a delivery what they are told."""
        if signal == "process_message":
            args[0].result = kwargs.get("result")
        elif signal == "skip_message":
            args[0].skipped = True
        super().emit_after(signal, *args, **kwargs)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 100) -> StubConsumer:
        """Return a consumer of *queue_name*.

        Args:
            queue_name: the queue.
            prefetch: ignored; a message is taken when it is asked for.
            timeout: milliseconds that an idle consumer waits before it yields None.

        Raises:
            QueueNotFound: no actor and no message uses it.
        """
        self.waiting([queue_name])
        return StubConsumer(self, queue_name, idle_ms=timeout)

    def flush(self, queue_name: str) -> None:
        """Drop what waits in *queue_name*."""
        with self.changed:
            self.queues[queue_name].clear()

    def join(self, queue_name: str, *, timeout: int | None = None, fail_fast: bool | None = None) -> None:
        """Wait until workers have done all of *queue_name* that is due by the clock.

        Args:
            queue_name: the queue.
            timeout: milliseconds to wait; None for ever.
            fail_fast: whether to raise the error of the first dead letter; default ``fail_fast_default``.

        Raises:
            QueueJoinTimeout: it took longer.
            QueueNotFound: no actor and no message uses it.
        """
        with self.changed:
            done = self.changed.wait_for(lambda: self._is_idle(queue_name), None if timeout is None else timeout / 1000)
        if not done:
            raise QueueJoinTimeout(queue_name)
        if self.fail_fast_default if fail_fast is None else fail_fast:
            for letter in self.dead_letters_by_queue[queue_name]:
                raise letter._exception or RuntimeError(f"{letter} was dead-lettered")

    def _is_idle(self, queue_name: str) -> bool:
        now = self.clock.now()
        return not self.unacked[queue_name] and all(entry.due > now for entry in self.waiting([queue_name]))
