"""A page of the dead letters in RabbitMQ, and the place where the next one begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from actors.brokers.buried import Buried
from actors.brokers.dead_queues import DeadQueue, DeadQueues
from actors.dead_letters.pages import Page, cursor, read_cursor
from actors.dead_letters.selection import Dead, Selection


@dataclass(frozen=True, slots=True)
class Place:
    """Behind which letter a page begins.

    Attributes:
        queue, found_in: where that letter is, or was.
        index: how many were before it, when that was.
        died, id: of that letter.
    """

    queue: str
    found_in: str
    index: int
    died: int
    id: str

    @classmethod
    def read(cls, text: str) -> Place:
        """Return the place that *text* was made of.

        Raises:
            ValueError: it was made of none.
        """
        return cls(*read_cursor(text, (str, str, int, int, str)))

    def text(self) -> str:
        """Return it as text."""
        return cursor(astuple(self))


def page_of(queues: DeadQueues, selection: Selection, limit: int, after: str, depth: int | None) -> Page:
    """Return a page of the dead letters that *selection* means; see ``Graves.page``."""
    place = Place.read(after) if after else None
    existing = queues.existing()
    if place is not None:
        existing = existing[_start(existing, place) :]
    found: list[tuple[Place, Dead]] = []
    looked = []
    for queue in existing:
        behind = place if place is not None and queue.physical.name == place.found_in else None
        collector = _Collector(selection, limit + 1 - len(found), behind)
        first = limit + 1 + (behind.index + 1 if behind is not None else 0)
        looked.append(queues.look_into(queue, collector.see, first=first, depth=depth, enough=collector.is_full))
        found += collector.found
    following = found[limit - 1][0].text() if len(found) > limit else ""
    return Page([dead for _, dead in found[:limit]], following, looked)


class _Collector:
    """Collects the first letters of a queue that are behind a place, and no more than there is room for.

    Letters come to the end of a queue and go from anywhere in it: the one behind which a page begins has no more before
    it than it had. Where it is gone, the page begins with the first that died no earlier.
    """

    def __init__(self, selection: Selection, room: int, after: Place | None) -> None:
        self.found: list[tuple[Place, Dead]] = []
        self._selection = selection
        self._room = room
        self._after = after
        self._index = -1
        self._is_met = False

    def see(self, buried: Buried) -> None:
        """Take a letter, if there is room for it."""
        self._index += 1
        letter, after = buried.letter, self._after
        if after is not None and self._index <= after.index and letter.id == after.id:
            # The last such is meant, since a letter may have copies.
            self._is_met = True
            self.found.clear()
            return
        is_behind = after is None or self._is_met or letter.died >= after.died
        if is_behind and len(self.found) < self._room and self._selection.matches(letter):
            place = Place(buried.queue, buried.found_in, self._index, letter.died, letter.id)
            self.found.append((place, Dead.of(buried)))

    def is_full(self) -> bool:
        """Return whether what is still to come belongs to a later page."""
        return len(self.found) >= self._room and (self._after is None or self._index >= self._after.index)


def _start(existing: Sequence[DeadQueue], place: Place) -> int:
    names = [queue.physical.name for queue in existing]
    if place.found_in in names:
        return names.index(place.found_in)
    return sum(queue.queue < place.queue for queue in existing)
