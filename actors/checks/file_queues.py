"""The queues as a file has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actors.brokers.sqlite import census, dead_letters, queues
from actors.brokers.sqlite.audience import consumers
from actors.brokers.sqlite.bell import Bell
from actors.brokers.sqlite.looking import looking
from middleware.letter import now_ms
from middleware.stores.sqlite import SqliteFile


@dataclass(frozen=True, slots=True)
class FileQueue:
    """A queue in a file.

    Attributes:
        name: its name.
        actors: the loaded actors whose messages go there; empty if none does any more.
        ready: how many messages wait to be taken.
        delayed: how many wait until they are due.
        in_hand: how many workers have.
        dead: how many dead letters wait for a human.
        consumers: how many consumers it has.
    """

    name: str
    actors: Sequence[str]
    ready: int
    delayed: int
    in_hand: int
    dead: int
    consumers: int

    @property
    def messages(self) -> int:
        """How many messages it has, but for its dead letters."""
        return self.ready + self.delayed + self.in_hand

    @property
    def unused(self) -> bool:
        """Whether there is nothing in it, and nobody waits for something."""
        return not self.messages and not self.consumers


def look_at_file(file: SqliteFile, users: Mapping[str, Sequence[str]]) -> list[FileQueue]:
    """Return the queues of *users*, and all others in *file*, except those that nobody uses and that have nothing.

    Raises:
        ConnectionFailed: the file can't be used.
    """
    now, bell, found = now_ms(), Bell(file.path), []
    with looking(file) as connection:
        for name in sorted({*users, *census.names(connection)}):
            counts = queues.count(connection, name, now=now)
            dead = dead_letters.count(connection, name, now=now)
            taken = consumers(connection, bell, name, now=now)
            found.append(FileQueue(name, users.get(name, ()), counts.ready, counts.delayed, counts.held, dead, taken))
    return [queue for queue in found if queue.actors or queue.dead or not queue.unused]
