"""What an engine does with the delayed messages that it keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from actors.brokers.engine import Engine
from actors.brokers.inquiry import Delayed, Found
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.brokers.sqlite import SqliteEngine
from actors.delayed.page import Dealt, Page
from actors.delayed.rabbitmq import RabbitmqWaiting
from actors.delayed.sqlite import SqliteWaiting
from actors.errors import SettingsError


class Waiting(Protocol):
    """The delayed messages of one environment, as its engine keeps them.

    Raises:
        ConnectionFailed: from every method, when the engine does not answer in time.
        AccessRefused: from every method, when RabbitMQ's user has no right to it.
    """

    def look(self, *, queue: str | None, actor: str | None, limit: int, after: str) -> Page:
        """Return a page of them; see :meth:`~actors.delayed.DelayedMessages.look`."""

    def find(self, ids: Sequence[str]) -> list[Delayed]:
        """Return the messages with *ids*, and copies of them; nothing changes."""

    def cancel(self, ids: Sequence[str], note: Callable[[Found], None]) -> Dealt:
        """Drop the messages with *ids*; call *note* with each as soon as it is gone."""

    def run_now(self, ids: Sequence[str], note: Callable[[Found], None]) -> Dealt:
        """Make the messages with *ids* ready; call *note* with each as soon as it is."""


def waiting_of(engine: Engine, *, depth: int, timeout_s: float) -> Waiting:
    """Return the delayed messages that *engine* keeps.

    Args:
        engine: where they are.
        depth: how many messages of each of RabbitMQ's hold queues are looked at.
        timeout_s: how long RabbitMQ may take for each of them, in seconds.

    Raises:
        SettingsError: it keeps none that could be looked at.
    """
    if isinstance(engine, RabbitmqEngine):
        return RabbitmqWaiting(engine, depth=depth, timeout_s=timeout_s)
    if isinstance(engine, SqliteEngine):
        return SqliteWaiting(engine)
    raise SettingsError(f"this needs RabbitMQ or a file, and the broker is {engine.where}")
