"""Messages in one SQLite file, for any number of processes of one machine, without a server."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import dramatiq
from dramatiq.errors import ConnectionFailed

from actors.brokers.dispatch import Dispatch
from actors.brokers.outgoing import Following, Outgoing
from actors.brokers.sqlite import dead_letters, queues
from actors.brokers.sqlite.appetite import Appetite, worker_threads
from actors.brokers.sqlite.bell import Bell
from actors.brokers.sqlite.consumer import Consumer
from actors.brokers.sqlite.joining import Joining
from actors.brokers.sqlite.keeper import Keeper
from actors.brokers.sqlite.outage import Outage
from actors.brokers.sqlite.sending import queued, refusal
from actors.brokers.sqlite.tick_runs import TickRun
from actors.brokers.sqlite.workshop import Workshop
from middleware.letter import now_ms
from middleware.stores.sqlite import FileRefused, FileUnavailable, SqliteFile
from periodic.pace import Pace

# How many messages a consumer holds at most, as a rule: so many that the disk does not keep the threads waiting.
PREFETCH = 400
# For how long a worker process that is silent keeps what it holds, in milliseconds.
LEASE_MS = 10_000
# How much a purge deletes in one transaction: it must not keep others from writing for long.
STEP = 5_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SqliteOptions:
    """What a :class:`SqliteEngine` needs to know.

    Attributes:
        file: where the messages are; its schema has the statements of ``SCHEMA``.
        prefetch: messages that are with the workers, waiting or running, a queue and worker process; see
            :class:`~actors.brokers.sqlite.appetite.Appetite`.
        lease_ms: after how many milliseconds without a sign of life what a worker process holds is another's.
        max_message_bytes: the size of an encoded message that is refused when exceeded.
        dead_letter_retention_ms: after how many milliseconds a dead letter is dropped; None for never.
        records_are_synced: whether the outcome of a guarded message is on the disk once the store has it, as one in the
            same file is; then its ack need not wait for the disk, too.
    """

    file: SqliteFile
    prefetch: int = PREFETCH
    lease_ms: int = LEASE_MS
    max_message_bytes: int = 131_072
    dead_letter_retention_ms: int | None = None
    records_are_synced: bool = True


class SqliteEngine:
    """Keeps messages in a file; see :class:`~actors.brokers.engine.Engine`.

    Args:
        options: see there.
    """

    def __init__(self, options: SqliteOptions) -> None:
        self.options = options
        self._file = options.file
        self._bell = Bell(options.file.path)
        self._joining = Joining(options.file.path)
        self._lock = threading.Lock()
        # Workers of this process; None before the first, whose consumers start before it says so.
        self._workers: int | None = None
        outage = Outage(options.file.path)
        self._shop = Workshop(
            file=options.file,
            bell=self._bell,
            keeper=Keeper(options.file, outage, lease_ms=options.lease_ms),
            outage=outage,
            lease_ms=options.lease_ms,
            retention_ms=options.dead_letter_retention_ms,
            takes_more=lambda: self._workers != 0,
            records_are_synced=options.records_are_synced,
        )

    @property
    def where(self) -> str:
        """The file, as the URL of a broker."""
        return f"sqlite:///{self._file.path}"

    @property
    def max_message_bytes(self) -> int:
        """How large an encoded message may be."""
        return self.options.max_message_bytes

    def ensure(self, queue_name: str) -> None:
        """Make the file exist, and its tables; queues need nothing of their own.

        Raises:
            ConnectionFailed: it can't be made, or used.
        """
        with self._answering(), self._file.read():
            pass

    def send(self, outgoing: list[Outgoing]) -> None:
        """Return once all of *outgoing* are on the disk, together; within :meth:`joined`, in its transaction.

        Raises:
            EnqueueError: none of them is, or, where the commit itself failed, that is not known.
            NotEncodable: a message can't be written.
        """
        messages = [queued(each) for each in outgoing]
        joined = self._joining.current
        is_written = False
        try:
            if joined is not None:
                joined.put(messages)
                return
            with self._file.write() as connection:
                queues.put(connection, messages)
                is_written = True
        except (FileUnavailable, FileRefused, sqlite3.Error) as error:
            raise refusal(outgoing, error, maybe_enqueued=is_written) from error
        self._bell.ring({each.queue for each in messages})

    def put(self, connection: sqlite3.Connection, outgoing: Sequence[Outgoing]) -> None:
        """Send *outgoing* in the transaction that is open on *connection*; :meth:`ring` once it is committed.

        Raises:
            NotEncodable: a message can't be written.
        """
        queues.put(connection, [queued(each) for each in outgoing])

    def ring(self, queue_names: Iterable[str]) -> None:
        """Wake the workers of *queue_names*, of all processes."""
        self._bell.ring(queue_names)

    @contextmanager
    def joined(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Let all sends of the block be a part of the transaction on *connection*, an application's own.

        They are durable when that is committed, and gone when it is rolled back. Commit within the block: at its end
        workers are told to look::

            with engine.joined(connection), connection:
                connection.execute("INSERT INTO orders …")
                charge.send(order_id)

        Args:
            connection: to the broker's file, of the running thread.

        Raises:
            NotJoinable: it is one to another file.
        """
        with self._joining.through(connection) as joined:
            yield
        self._bell.ring(joined.queues)

    def following(self, outgoing: Outgoing) -> Following:
        """Return what sends *outgoing* when the outcome of an attempt is recorded.

        Raises:
            NotEncodable: it can't be written.
        """
        return Following(outgoing, queued(outgoing))

    def run_record(self, pace: str, record: bytes) -> Following | None:
        """Return what keeps the *record* of a run of a tick; None where no schedule has the *pace*, which is logged."""
        try:
            return Following(None, TickRun(Pace(pace), record))
        except ValueError:
            log.warning("a run of a tick is not recorded: no schedule has the pace %r", pace)
            return None

    def consume(self, broker: Dispatch, queue_name: str, *, idle_ms: int) -> dramatiq.Consumer:
        """Return a consumer of logical queue *queue_name* that waits *idle_ms* at most before it yields None."""
        appetite = Appetite(self.options.prefetch, worker_threads)
        return Consumer(broker, self._shop, queue_name=queue_name, appetite=appetite, idle_ms=idle_ms)

    def start_work(self) -> None:
        """Note that a worker works. Leases are renewed for as long as there are consumers."""
        with self._lock:
            self._workers = (self._workers or 0) + 1

    def stop_work(self) -> None:
        """Note that a worker stops; the last one takes no more messages, and keeps those that it works on."""
        with self._lock:
            self._workers = max(0, (self._workers or 0) - 1)

    def counts(self, queue_name: str) -> tuple[int, int, int]:
        """Return how many messages of *queue_name* are ready, delayed, and dead.

        Raises:
            ConnectionFailed: the file can't be used.
        """
        now = now_ms()
        with self._answering(), self._file.read() as connection:
            counts = queues.count(connection, queue_name, now=now)
            return counts.ready, counts.delayed, dead_letters.count(connection, queue_name, now=now)

    def purge(self, queue_names: Sequence[str]) -> None:
        """Drop all messages of *queue_names*, but those that a worker has; delayed ones and dead letters included.

        Raises:
            ConnectionFailed: the file can't be used; some may be dropped.
        """
        for queue in queue_names:
            for drop in (queues.drop, dead_letters.drop):
                dropped = STEP
                while dropped == STEP:
                    with self._answering(), self._file.write() as connection:
                        dropped = drop(connection, queue, limit=STEP)

    def close(self) -> None:
        """Close the file; a later use opens it again."""
        self._file.close()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (FileUnavailable, FileRefused) as error:
            raise ConnectionFailed(str(error)) from error
