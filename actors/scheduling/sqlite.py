"""A scheduler whose ledger is in the file that has the queues, too."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from actors.brokers.broker import Broker
from actors.brokers.outgoing import Outgoing
from actors.brokers.sqlite import SqliteEngine
from actors.brokers.sqlite.audience import consumers
from actors.brokers.sqlite.bell import Bell
from actors.scheduling.messages import ready_to_send
from middleware.letter import now_ms
from middleware.stores.sqlite import FileRefused, FileUnavailable
from periodic.consumers import Destination
from periodic.schedule import Schedule
from periodic.sqlite import SqliteScheduler
from periodic.takeover import Replica
from periodic.tick import Tick


def sqlite_scheduler(
    broker: Broker[SqliteEngine], replica: Replica, clock: Callable[[], datetime]
) -> SqliteScheduler[Outgoing]:
    """Return a scheduler that opens the file when it is run."""
    file = TickedFile(broker.engine)
    return SqliteScheduler(
        replica,
        file,
        file.put,
        lambda schedule, tick: outgoing(broker, schedule, tick),
        destination=lambda schedule: destination(broker, schedule),
        is_consumed=file.is_consumed,
        failures=(FileUnavailable, FileRefused),
        clock=clock,
    )


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of the file, which has no other name there."""

    name: str


def destination(broker: Broker[Any], schedule: Schedule) -> Destination:
    """Return where the messages of *schedule* go."""
    name = schedule.queue or broker.get_actor(schedule.actor).queue_name
    return Destination(name, Queue(name))


def outgoing(broker: Broker[SqliteEngine], schedule: Schedule, tick: Tick) -> Outgoing:
    """Return the message of *tick* as it is sent.

    Raises:
        Exception: whatever a middleware or the encoding raises; nothing is sent.
    """
    message = ready_to_send(broker, schedule, tick)
    return Outgoing(message, broker.encoded(message), None, None)


class TickedFile:
    """The file of *engine* as a scheduler uses it; workers are rung once ticks are in it.

    Args:
        engine: puts them there.
    """

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine
        self._file = engine.options.file
        self._bell = Bell(self._file.path)
        self._rung: set[str] = set()

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._file.path

    def put(self, connection: sqlite3.Connection, outgoing: Outgoing) -> None:
        """Put the message of a tick into its queue, in the transaction that is open on *connection*."""
        self._engine.put(connection, [outgoing])
        self._rung.add(outgoing.message.queue_name)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Begin a transaction that is durable at the end of the block."""
        with self._file.write() as connection:
            yield connection
        if self._rung and not connection.in_transaction:
            rung, self._rung = self._rung, set()
            self._engine.ring(rung)

    def is_consumed(self, queue: str) -> bool:
        """Return whether anybody takes from *queue*."""
        with self._file.read() as connection:
            return consumers(connection, self._bell, queue, now=now_ms()) > 0

    def read(self) -> AbstractContextManager[sqlite3.Connection]:
        """Look at one state of the file."""
        return self._file.read()
