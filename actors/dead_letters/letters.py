"""The dead letters of an environment, and what can be done with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from actors.brokers.broker import Broker
from actors.brokers.engine import Engine
from actors.brokers.looked import Looked
from actors.dead_letters.buried import Buried
from actors.dead_letters.choosing import graves_of
from actors.dead_letters.graves import Graves
from actors.dead_letters.groups import Grouping, Groups
from actors.dead_letters.objections import Examiner, Objection
from actors.dead_letters.pages import Page
from actors.dead_letters.restoring import ImportTerms, Restored, Restoring
from actors.dead_letters.selection import ALL, Dead, Selection
from actors.dead_letters.stock import Stock
from actors.dead_letters.terms import Replayed, Terms
from middleware.letter import now_ms

# How many examples of each objection a preview has.
EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Preview:
    """What a replay would do now.

    Attributes:
        at: when it was made, in milliseconds since the Unix epoch.
        groups: of all letters that are meant.
        ready: how many of them would be sent again.
        objections: how many would be kept, by the kind of objection.
        examples: the first of each kind, with why.
    """

    at: int
    groups: Groups
    ready: int
    objections: Counter[str]
    examples: Sequence[tuple[Dead, Objection]]


class DeadLetters:
    """The dead letters of one environment, whichever engine keeps them.

    Args:
        broker: where they are.
        queues: the logical queues to look into where a selection names none.
        timeout_s: how long RabbitMQ may take for each answer, in seconds; a file has a timeout of its own.

    Raises:
        ConnectionFailed: from every method, when RabbitMQ does not answer in time, or the file can't be used.
        AccessRefused: from every method, when RabbitMQ's user has no right to it.
    """

    def __init__(self, broker: Broker[Engine], queues: Collection[str], *, timeout_s: float = 10.0) -> None:
        self._broker = broker
        self._known = queues
        self._timeout_s = timeout_s

    def look(self, selection: Selection = ALL, *, limit: int = 100, after: str = "", depth: int | None = None) -> Page:
        """Return a page of them, queue by queue, the oldest first; nothing changes.

        Args:
            selection: which are meant.
            limit: how many to return at most.
            after: where an earlier page said to go on.
            depth: how many of each queue to look at, at most; None for as many as it takes.

        Raises:
            ValueError: *after* is no such place.
        """
        return self._graves.page(selection, limit=limit, after=after, depth=depth)

    def groups(self, selection: Selection = ALL, *, depth: int | None = None) -> Groups:
        """Return how many died of which error; nothing changes."""
        grouping = Grouping()
        return grouping.groups(self._graves.look(selection, grouping.see, depth=depth))

    def find(self, name: str, *, queues: Collection[str] = ()) -> list[Buried]:
        """Return the letters with the id *name*, or of the message with it, whole; nothing changes."""
        found: list[Buried] = []
        self._graves.exhume(Selection(queues=queues, ids=[name]), found.append)
        return found

    def stock(self) -> list[Stock]:
        """Return how many there are in each logical queue, since when, and until when; nothing changes."""
        return self._graves.stock()

    def preview(self, selection: Selection, *, force: bool = False) -> Preview:
        """Return what a replay would do; nothing changes."""
        at = now_ms()
        grouping, examiner = Grouping(), Examiner(self._broker, force=force)
        objections: Counter[str] = Counter()
        examples: list[tuple[Dead, Objection]] = []

        def see(buried: Buried) -> None:
            dead = Dead.of(buried)
            grouping.see(dead)
            if isinstance(objection := examiner.examine(buried), Objection):
                objections[objection.kind] += 1
                if objections[objection.kind] <= EXAMPLES:
                    examples.append((dead, objection))

        groups = grouping.groups(self._graves.exhume(selection, see))
        return Preview(at, groups, groups.count - objections.total(), objections, examples)

    def replay(self, selection: Selection, terms: Terms | None = None) -> Replayed:
        """Send again what is meant of all that is there now; return how far that came.

        The store of idempotency keys is not needed. A process that dies in the middle loses no message. On RabbitMQ it
        doubles some, under the same id and number of the replay, of which one runs; in a file it doubles none.
        """
        terms = terms or Terms()
        return self._graves.replay(selection, Examiner(self._broker, force=terms.force), terms)

    def discard(
        self,
        selection: Selection,
        note: Callable[[Dead], object] = lambda dead: None,
        go_on: Callable[[], bool] = lambda: True,
    ) -> int:
        """Drop what is meant of all that is there now; return how many those were.

        Args:
            selection: which are meant.
            note: called with each once it is gone.
            go_on: asked again and again whether to go on.
        """
        return self._graves.discard(selection, note, go_on)

    def export(self, selection: Selection, write: Callable[[Buried], object]) -> list[Looked]:
        """Call *write* with each that is meant, whole; nothing changes. Return how far each queue was looked into."""
        return self._graves.exhume(selection, write)

    def restore(
        self, lines: Iterable[str | bytes], terms: ImportTerms | None = None, *, queues: Collection[str] = ()
    ) -> Restored:
        """Put the letters of an archive back, each into the queue that it names, unless it is there already.

        Args:
            lines: of the archive; they are read as they are needed.
            terms: how it is done.
            queues: where to look for letters that are there already, besides the known queues; in a file all are.

        Raises:
            ConnectionFailed: some letters are not known to be durable; the same call may be made again.
        """
        terms = terms or ImportTerms()
        return Restoring(self._graves.ground(queues, fresh=terms.fresh), terms).run(lines)

    @property
    def _graves(self) -> Graves:
        return graves_of(self._broker.engine, self._known, timeout_s=self._timeout_s)
