"""Short words for what tests do with a queue, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actors.brokers.sqlite import dead_letters, holders, queues
from actors.brokers.sqlite.queues import Counts, Queued, Taken
from actors.brokers.sqlite.settling import Settlement, settle
from middleware.stores.sqlite import SqliteFile

NOW = 1_800_000_000_000
LATER = NOW + 10_000


def message(name: str, *, queue: str = "default", priority: int = 0, available: int = 0) -> Queued:
    return Queued(queue, name, "job", name.encode(), sent=NOW, priority=priority, available=available)


@dataclass(frozen=True)
class Table:
    """The messages of one file."""

    file: SqliteFile

    def put(self, *names: str, queue: str = "default", priority: int = 0, available: int = 0) -> None:
        with self.file.write() as connection:
            queues.put(
                connection, [message(name, queue=queue, priority=priority, available=available) for name in names]
            )

    def enter(self, queue: str = "default", *, until: int = LATER) -> int:
        with self.file.write() as connection:
            return holders.enter(connection, queue, until=until, worker="here:1")

    def claim(self, holder: int, limit: int = 100, *, queue: str = "default") -> list[Taken]:
        with self.file.write() as connection:
            return queues.claim(connection, queue, holder, limit=limit)

    def settle(self, holder: int, *settlements: Settlement) -> list[bool]:
        with self.file.write() as connection:
            return settle(connection, holder, settlements)

    def evict(self, *, now: int) -> None:
        with self.file.write() as connection:
            holders.evict(connection, now=now)

    def count(self, queue: str = "default", *, now: int = NOW) -> Counts:
        with self.file.read() as connection:
            return queues.count(connection, queue, now=now)

    def dead(self, queue: str = "default", *, now: int = NOW) -> int:
        with self.file.read() as connection:
            return dead_letters.count(connection, queue, now=now)

    def next_moment(self, queue: str = "default", *, without: int | None = None) -> int | None:
        with self.file.read() as connection:
            return queues.next_moment(connection, queue, without=without)


def names(taken: Sequence[Taken]) -> list[str]:
    return [each.message_id for each in taken]
