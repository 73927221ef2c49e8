"""The dead letters in a file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice

from actors.brokers.looked import Looked
from actors.brokers.sqlite import SqliteEngine, dead_letters, graves
from actors.brokers.sqlite.graves import Grave
from actors.brokers.sqlite.looking import changing, looking
from actors.dead_letters.buried import Buried
from actors.dead_letters.objections import Examiner
from actors.dead_letters.pages import Page, cursor, read_cursor
from actors.dead_letters.selection import ALL, Dead, Selection
from actors.dead_letters.sqlite.replay import Replay
from actors.dead_letters.sqlite.restoring import SqliteGround
from actors.dead_letters.sqlite.walk import Walk
from actors.dead_letters.stock import HEADS, Stock, stock_of
from actors.dead_letters.terms import Replayed, Terms
from middleware.letter import now_ms

# How many are dropped in one transaction: it must not keep others from writing for long.
STEP = 500


class SqliteGraves:
    """See :class:`~actors.dead_letters.graves.Graves`.

    Args:
        engine: whose file they are in.
        queues: the logical queues to look into where a selection names none.
    """

    def __init__(self, engine: SqliteEngine, queues: Collection[str]) -> None:
        self._engine = engine
        self._file = engine.options.file
        self._known = queues

    def page(self, selection: Selection, *, limit: int, after: str, depth: int | None) -> Page:
        """Return a page of them, queue by queue, the oldest first; nothing changes."""
        place = _Place.read(after) if after else None
        found: list[Grave] = []
        looked = []
        for queue, count in self._counts(selection).items():
            if place is not None and queue < place.queue:
                continue
            walk = Walk(self._file, queue, selection, depth=depth, first=limit + 1)
            if place is not None and queue == place.queue:
                walk.place = (place.died, place.row)
            found += islice(walk, limit + 1 - len(found))
            looked.append(Looked(queue, queue, walk.seen, max(0, count - walk.seen)))
        following = _Place.of(found[limit - 1]).text() if len(found) > limit else ""
        return Page([_dead(grave) for grave in found[:limit]], following, looked)

    def look(self, selection: Selection, see: Callable[[Dead], object], *, depth: int | None = None) -> list[Looked]:
        """Call *see* with each that is meant; nothing changes."""
        return self._go(selection, lambda grave: see(_dead(grave)), depth=depth)

    def exhume(self, selection: Selection, see: Callable[[Buried], object]) -> list[Looked]:
        """Call *see* with each that is meant, whole; nothing changes."""
        return self._go(selection, see, whole=True)

    def stock(self) -> list[Stock]:
        """Return how many there are in each logical queue that has any; nothing changes."""
        stocks = []
        for queue, count in self._counts(ALL).items():
            heads = Walk(self._file, queue, ALL, depth=HEADS, first=HEADS)
            stocks.append(stock_of(queue, count, list(map(_dead, heads))))
        return stocks

    def replay(self, selection: Selection, examiner: Examiner, terms: Terms) -> Replayed:
        """Put what is meant of all that is there now into its queues, each in the transaction that deletes its letter.

        A process that dies in the middle loses none, and doubles none.
        """
        return Replay(self._engine, list(self._counts(selection)), selection, examiner, terms).run()

    def discard(self, selection: Selection, note: Callable[[Dead], object], go_on: Callable[[], bool]) -> int:
        """Delete what is meant of all that is there now; return how many those were."""
        with looking(self._file) as connection:
            newest = graves.newest(connection)
        dropped = 0
        for queue in self._counts(selection):
            letters = _while(go_on, iter(Walk(self._file, queue, selection, newest=newest)))
            while chunk := list(islice(letters, STEP)):
                with changing(self._file) as connection:
                    removed = graves.remove(connection, [grave.id for grave in chunk])
                dropped += len(removed)
                for grave in chunk:
                    if grave.id in removed:
                        note(_dead(grave))
        return dropped

    def ground(self, queues: Collection[str], *, fresh: bool) -> SqliteGround:
        """Return where letters are put back; one that is there already is found in whatever queue it is."""
        return SqliteGround(self._engine, fresh=fresh)

    def _go(
        self,
        selection: Selection,
        see: Callable[[Grave], object],
        *,
        depth: int | None = None,
        whole: bool = False,
    ) -> list[Looked]:
        looked = []
        for queue, count in self._counts(selection).items():
            walk = Walk(self._file, queue, selection, depth=depth, whole=whole)
            for grave in walk:
                see(grave)
            looked.append(Looked(queue, queue, walk.seen, max(0, count - walk.seen)))
        return looked

    def _counts(self, selection: Selection) -> dict[str, int]:
        """Return how many dead letters each queue has that has any, in the order in which they are looked at."""
        now = now_ms()
        names = sorted(set(selection.queues or self._known))
        with looking(self._file) as connection:
            counts = {name: dead_letters.count(connection, name, now=now) for name in names}
        return {name: count for name, count in counts.items() if count}


@dataclass(frozen=True, slots=True)
class _Place:
    """Behind which letter a page begins: its queue, when it died, and its row."""

    queue: str
    died: int
    row: int

    @classmethod
    def of(cls, grave: Grave) -> _Place:
        return cls(grave.queue, grave.letter.died, grave.id)

    @classmethod
    def read(cls, text: str) -> _Place:
        place = cls(*read_cursor(text, (str, int, int)))
        if max(abs(place.died), abs(place.row)) >= 2**63:
            raise ValueError("no place")
        return place

    def text(self) -> str:
        return cursor((self.queue, self.died, self.row))


def _dead(grave: Grave) -> Dead:
    return Dead(grave.letter, grave.queue, grave.found_in, grave.expires, grave.size)


def _while(go_on: Callable[[], bool], letters: Iterator[Grave]) -> Iterator[Grave]:
    for grave in letters:
        if not go_on():
            return
        yield grave
