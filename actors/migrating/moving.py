"""Rows go from the file to RabbitMQ in batches: noted, published, deleted."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from dramatiq.errors import ConnectionFailed

from actors.brokers.admin import Admin
from actors.brokers.topology import Queue
from actors.migrating.courier import Courier, Place
from actors.migrating.marker import Noted, delete, find, note
from actors.migrating.parcels import Parcel, Source
from middleware.stores.sqlite import SqliteFile

log = logging.getLogger(__name__)

# How many rows are published together, and how many bytes: all of them are in memory at once.
BATCH, BATCH_BYTES = 500, 8 * 2**20
# How long a queue may take to count what has arrived in it, in seconds, and how often it is asked.
COUNTED_WITHIN_S, ASK_EVERY_S = 5.0, 0.1


class Moving:
    """Moves rows; each ends in RabbitMQ once, whenever this process is killed.

    A batch is noted in the file before it is published, and deleted there, in one transaction with the note of the
    next, once it is confirmed. Who finds a note asks the ledger (see :class:`Courier`) which of the batch have arrived,
    and publishes the others.

    RabbitMQ may also have refused one that the ledger counts, as a queue does whose length is limited. So that it is
    not taken for moved, its queue must have grown by as many messages as have arrived; where it has not, since somebody
    takes messages from it already, those of this one batch are published again, with the same message ids.

    Args:
        file: whence.
        admin: looks at queues.
        courier: publishes.
        before: called before each batch is published.
        moved: called with the kind of rows and their number, once so many more are moved.
        go_on: asked before each batch.

    Attributes:
        doubted: how many may have been published twice.
    """

    def __init__(
        self,
        file: SqliteFile,
        admin: Admin,
        courier: Courier,
        *,
        before: Callable[[], object],
        moved: Callable[[str, int], None],
        go_on: Callable[[], bool],
    ) -> None:
        self.doubted = 0
        self._file = file
        self._admin = admin
        self._courier = courier
        self._before = before
        self._moved = moved
        self._go_on = go_on

    def settle(self) -> None:
        """Deal with the batch that was being published when this migration was cut off, if one was."""
        with self._file.read() as connection:
            marker = find(connection)
        if marker is None or marker.noted is None:
            return
        noted = marker.noted
        arrived = self._arrived(marker.batch, noted, self._courier.last())
        with self._file.write() as connection:
            delete(connection, noted.table, arrived)
            note(connection, None)

    def run(self, source: Source) -> bool:
        """Move all rows of *source*; return whether none is left, and not because it is not to go on.

        Raises:
            ConnectionFailed: RabbitMQ does not answer, or refuses some; they stay where they are.
            QueueMismatch, AccessRefused: a queue can't be used.
        """
        gone: list[int] = []
        while True:
            batch = self._next(source, gone) if self._go_on() else []
            noted, number = self._note(source, gone, batch)
            if noted is None:
                return not batch and self._go_on()
            self._before()
            refused = self._courier.publish(number, [each.publication for each in batch])
            if refused:
                self._refused(source, batch, refused)
            gone = list(noted.ids)
            self._moved(source.kind, len(gone))

    def _next(self, source: Source, gone: Sequence[int]) -> list[Parcel]:
        """Return the next rows as they are published, without those that are *gone*, but not from the file yet."""
        known, batch, size = set(gone), list[Parcel](), 0
        with self._file.read() as connection:
            rows = connection.execute(source.select, (BATCH + len(known),)).fetchall()
        for row in rows:
            if row[0] in known or len(batch) == BATCH or size >= BATCH_BYTES:
                continue
            publication = source.pack(row)
            size += len(publication.body)
            batch.append(Parcel(row[0], publication))
        return batch

    def _note(self, source: Source, gone: Sequence[int], batch: Sequence[Parcel]) -> tuple[Noted | None, int]:
        """Delete what is gone, and note what comes next, in one transaction; return the note and its number."""
        noted = None
        if batch:
            queues = sorted({each.publication.queue for each in batch})
            number_of = {name: number for number, name in enumerate(queues)}
            noted = Noted(
                table=source.table,
                ids=[each.id for each in batch],
                at=[number_of[each.publication.queue] for each in batch],
                queues=queues,
                depths=[self._depth(name) for name in queues],
            )
        elif not gone:
            return None, 0
        with self._file.write() as connection:
            delete(connection, source.table, gone)
            return noted, note(connection, noted)

    def _refused(self, source: Source, batch: Sequence[Parcel], refused: Sequence[int]) -> None:
        """Leave in the file what RabbitMQ does not take, and only that.

        Raises:
            ConnectionFailed: always.
        """
        there = [each.id for index, each in enumerate(batch) if index not in set(refused)]
        with self._file.write() as connection:
            delete(connection, source.table, there)
            note(connection, None)
        self._moved(source.kind, len(there))
        queues = Counter(batch[index].publication.queue for index in refused)
        told = ", ".join(f"{count} for queue {name!r}" for name, count in sorted(queues.items()))
        raise ConnectionFailed(
            f"{self._admin.where}: RabbitMQ refuses messages ({told}), as a queue does that is full; they are still in "
            "the file; make room"
        )

    def _arrived(self, number: int, noted: Noted, last: Place | None) -> Sequence[int]:
        """Return which rows of the batch *noted* with *number* are in their queues for sure."""
        if last is None and number > 1:
            self._doubt(len(noted.ids))
            return []
        count = last.index + 1 if last is not None and last.batch == number else 0
        expected = Counter(noted.queues[each] for each in noted.at[:count])
        before = dict(zip(noted.queues, noted.depths, strict=True))
        sure = {name for name, more in expected.items() if self._has_grown(name, before, more)}
        arrived = [each for each, at in zip(noted.ids[:count], noted.at, strict=False) if noted.queues[at] in sure]
        self._doubt(count - len(arrived))
        return arrived

    def _has_grown(self, name: str, before: Mapping[str, int], more: int) -> bool:
        deadline = time.monotonic() + COUNTED_WITHIN_S
        while self._depth(name) - before[name] < more:
            if time.monotonic() > deadline:
                return False
            again = time.monotonic() + ASK_EVERY_S
            self._admin.restart_clock()
            self._admin.pump_until(lambda again=again: time.monotonic() >= again)  # type: ignore[misc]
        return True

    def _doubt(self, count: int) -> None:
        if count:
            self.doubted += count
            log.warning("%d messages may be in RabbitMQ, and are published once more, with the same message ids", count)

    def _depth(self, name: str) -> int:
        self._admin.restart_clock()
        depth = self._admin.depth(Queue(name))
        if depth is None:
            raise ConnectionFailed(f"{self._admin.where}: queue {name!r} is gone")
        return depth.messages
