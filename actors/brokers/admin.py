"""Synchronous questions to RabbitMQ, each with a deadline."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from dramatiq.errors import ConnectionFailed
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker
from pika.frame import Method

from actors.brokers.nodes import Nodes
from actors.brokers.session import Session
from actors.brokers.topology import Queue
from actors.errors import AccessRefused, QueueMismatch
from periodic.queues import Queue as AnyQueue

ACCESS_REFUSED = 403
NOT_FOUND = 404
PRECONDITION_FAILED = 406

WAY_OUT = (
    "Let workers drain it and delete it (rabbitmqctl delete_queue), or set ACTORS_QUEUE_PREFIX or "
    "ACTORS_QUEUE_TYPE so that another name is used"
)

_INEQUIVALENT = re.compile(
    r"inequivalent arg '(?P<argument>[^']+)' for queue .*?"
    r"received (?P<ours>none|the value '[^']*'|'[^']*').*?but current is (?P<theirs>none|the value '[^']*'|'[^']*')"
)


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages are ready in a queue, and how many consumers it has."""

    messages: int
    consumers: int


class Admin:
    """A short-lived connection for declaring and looking at queues.

    Every call opens a channel of its own, since RabbitMQ answers "no such queue" by closing the channel.

    Args:
        nodes: where to connect.
        timeout_s: seconds that all calls together may take.

    Raises:
        ConnectionFailed: no node could be reached, or none answered within *timeout_s*.
        AccessRefused: from every call, when the user has no right to it.
    """

    def __init__(self, nodes: Nodes, *, timeout_s: float) -> None:
        self._nodes = nodes
        self._timeout_s = timeout_s
        self.restart_clock()
        self._session = Session(nodes, "admin", on_open=lambda channel: None, idle_s=0.1)

    def __enter__(self) -> Self:
        try:
            self.pump_until(lambda: self._session.channel is not None)
        except BaseException:
            self._session.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._session.close()

    @property
    def where(self) -> str:
        """Where it is connected to, without passwords."""
        return str(self._nodes)

    @property
    def server_version(self) -> str:
        """RabbitMQ's version, such as ``"4.1.2"``."""
        return self._session.server_version

    @property
    def blocked(self) -> str:
        """Why RabbitMQ takes nothing that is published, such as ``low on memory``; empty if it does."""
        return self._session.blocked or ""

    def declare(self, queue: Queue) -> Depth:
        """Make *queue* if it does not exist.

        Raises:
            QueueMismatch: it exists with other arguments.
        """
        try:
            return self._declare(queue)
        except ChannelClosedByBroker as closed:
            if closed.reply_code == PRECONDITION_FAILED:
                raise QueueMismatch(explain_mismatch(queue, closed.reply_text)) from None
            raise

    def depth(self, queue: AnyQueue) -> Depth | None:
        """Return the depth of *queue*, or None if it does not exist."""
        try:
            return self._declare(queue, passive=True)
        except ChannelClosedByBroker as closed:
            if closed.reply_code == NOT_FOUND:
                return None
            raise

    def purge(self, queue: Queue) -> None:
        """Drop all ready messages of *queue*, if it exists."""
        try:
            self._call(lambda channel, done: channel.queue_purge(queue.name, callback=done))
        except ChannelClosedByBroker as closed:
            if closed.reply_code != NOT_FOUND:
                raise

    def restart_clock(self) -> None:
        """Let what follows take as long as all calls together may."""
        self._deadline = time.monotonic() + self._timeout_s

    def open_channel(self) -> Channel:
        """Return another channel, open; who asked for it closes it."""
        opened: list[Channel] = []
        self.pump_until(lambda: self._session.channel is not None)
        channel = self._session.open_channel(opened.append)
        self.pump_until(lambda: bool(opened) or channel.is_closed)
        return channel

    def pump(self) -> None:
        """Wait for the network or for :meth:`wake`, a tenth of a second at most, while callbacks run."""
        self._session.pump()

    def wake(self) -> None:
        """Let :meth:`pump` return at once; from any thread, as long as the connection is in use."""
        self._session.call_soon(lambda: None)

    def abort(self) -> None:
        """End the connection at once, without a look at what is on its way."""
        self._session.abort()

    def pump_until(self, done: Callable[[], bool]) -> None:
        """Wait for *done*, while callbacks run."""
        while not done():
            if time.monotonic() >= self._deadline:
                raise ConnectionFailed(f"{self._nodes}: {self._session.last_error or 'no answer in time'}")
            self._session.pump()

    def _declare(self, queue: AnyQueue, *, passive: bool = False) -> Depth:
        frame = self._call(
            lambda channel, done: channel.queue_declare(
                queue.name, passive=passive, durable=True, arguments=dict(queue.arguments), callback=done
            )
        )
        return Depth(frame.method.message_count, frame.method.consumer_count)

    def _call(self, ask: Callable[[Channel, Callable[[Method[Any]], None]], object]) -> Method[Any]:
        answers: list[Method[Any] | BaseException] = []
        self.pump_until(lambda: self._session.channel is not None)
        channel = self._session.open_channel(lambda opened: ask(opened, answers.append))
        channel.add_on_close_callback(lambda _, error: answers.append(error))
        self.pump_until(lambda: bool(answers))
        answer = answers[0]
        if isinstance(answer, ChannelClosedByBroker):
            if answer.reply_code == ACCESS_REFUSED:
                raise AccessRefused(f"{self._nodes}: {answer.reply_text}")
            if answer.reply_code in (NOT_FOUND, PRECONDITION_FAILED):
                raise answer
        if isinstance(answer, BaseException):
            raise ConnectionFailed(f"{self._nodes}: {answer}")
        channel.close()
        return answer


def explain_mismatch(queue: Queue, reply_text: str) -> str:
    """Turn RabbitMQ's ``PRECONDITION_FAILED`` into the queue, the argument, both values and the way out."""
    found = _INEQUIVALENT.search(reply_text)
    if found is None:
        return f"queue {queue.name!r} exists with other arguments: {reply_text}. {WAY_OUT}"
    ours, theirs = (found[side].removeprefix("the value ") for side in ("ours", "theirs"))
    return f"queue {queue.name!r} exists with {found['argument']}={theirs}, but we declare {ours}. {WAY_OUT}"
