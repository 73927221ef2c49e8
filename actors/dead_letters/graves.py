"""What an engine does with the dead letters that it keeps."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from actors.brokers.looked import Looked
from actors.dead_letters.buried import Buried
from actors.dead_letters.objections import Examiner
from actors.dead_letters.pages import Page
from actors.dead_letters.restoring import Ground
from actors.dead_letters.selection import Dead, Selection
from actors.dead_letters.stock import Stock
from actors.dead_letters.terms import Replayed, Terms


class Graves(Protocol):
    """The dead letters of one environment, as its engine keeps them.

    Raises:
        ConnectionFailed: from every method, when the engine does not answer in time.
        AccessRefused: from every method, when RabbitMQ's user has no right to it.
    """

    def page(self, selection: Selection, *, limit: int, after: str, depth: int | None) -> Page:
        """Return a page of them; see :meth:`~actors.dead_letters.DeadLetters.look`."""

    def look(self, selection: Selection, see: Callable[[Dead], object], *, depth: int | None = None) -> list[Looked]:
        """Call *see* with each that is meant, queue by queue, the oldest first; nothing changes.

        Args:
            selection: which are meant.
            see: called with each.
            depth: how many of each queue to look at, at most; None for all.

        Returns:
            How far each queue was looked into.
        """

    def exhume(self, selection: Selection, see: Callable[[Buried], object]) -> list[Looked]:
        """Do the same with each whole."""

    def stock(self) -> list[Stock]:
        """Return how many there are in each logical queue; nothing changes."""

    def replay(self, selection: Selection, examiner: Examiner, terms: Terms) -> Replayed:
        """Send again what is meant of all that is there now, and take it from there; return how far that came."""

    def discard(self, selection: Selection, note: Callable[[Dead], object], go_on: Callable[[], bool]) -> int:
        """Drop what is meant of all that is there now; return how many those were."""

    def ground(self, queues: Collection[str], *, fresh: bool) -> Ground:
        """Return where letters are put back.

        Args:
            queues: where to look for letters that are there already, besides the known queues.
            fresh: keep each for the retention of today's setting, in place of what is left of its own.
        """
