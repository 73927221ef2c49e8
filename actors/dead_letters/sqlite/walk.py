"""A way through the dead letters of a queue, a chunk at a time, each in a short transaction of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from actors.brokers.sqlite import graves
from actors.brokers.sqlite.graves import START, Grave, Place
from actors.brokers.sqlite.looking import looking
from actors.dead_letters.selection import Selection
from middleware.letter import now_ms
from middleware.stores.sqlite import SqliteFile

# How many letters are read at first, and at most; of those that are read with their bodies, at most.
FIRST, CHUNK, WHOLE = 50, 1_000, 100


@dataclass(slots=True)
class Walk:
    """A way through the dead letters of one queue, the oldest first. What comes and goes meanwhile does not disturb it.

    Attributes:
        file: where they are.
        queue: the logical queue.
        selection: which of them are meant.
        place: how far it has come.
        newest: the row of the last one that is looked at; None for all that are there when it begins.
        depth: how many to look at, at most; None for all.
        whole: read their bodies.
        first: how many to read at first.
        seen: how many it has looked at.
    """

    file: SqliteFile
    queue: str
    selection: Selection
    place: Place = START
    newest: int | None = None
    depth: int | None = None
    whole: bool = False
    first: int = FIRST
    seen: int = 0

    def __iter__(self) -> Iterator[Grave]:
        """Iterate over those that are meant."""
        chunk, most = self.first, WHOLE if self.whole else CHUNK
        while True:
            chunk = min(chunk, most)
            limit = chunk if self.depth is None else min(chunk, self.depth - self.seen)
            with looking(self.file) as connection:
                if self.newest is None:
                    self.newest = graves.newest(connection)
                found = graves.steps(
                    connection,
                    self.queue,
                    self.selection,
                    now=now_ms(),
                    limit=limit,
                    after=self.place,
                    newest=self.newest,
                    whole=self.whole,
                )
            for step in found:
                self.seen += 1
                self.place = step.place
                if step.grave is not None and self.selection.matches(step.grave.letter):
                    yield step.grave
            if len(found) < chunk:
                return
            chunk *= 4
