"""What a leader needs of a ledger, wherever that is."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, TypeVar

from periodic.errors import PeriodicError
from periodic.missed import Missed
from periodic.position import Position
from periodic.roster import Roster
from periodic.tick import Tick
from periodic.watermark import Watermark

Publication = TypeVar("Publication", contravariant=True)


class NotTaken(PeriodicError):
    """The message of a tick is not taken; it is in no queue."""


class Ledger(Protocol[Publication]):
    """Enqueues ticks, and moves the watermark with them; who does not lead can't.

    What the message of a tick is, is the ledger's own matter; whoever makes one and whoever takes it agree.

    Raises:
        Exception: from every method, when the term is over; nobody goes on with this ledger then, and what it says of
            itself does not count. Whoever leads next finds what was done, and nothing else.
    """

    @property
    def watermark(self) -> Watermark:
        """The watermark, as it was begun with or moved to."""

    @property
    def roster(self) -> Roster:
        """The roster, as it was begun with or written."""

    def enqueue(self, tick: Tick, publication: Publication, now: datetime) -> None:
        """Enqueue the message of *tick*, and move the watermark past it, both or neither.

        Raises:
            NotTaken: neither; the term goes on.
        """

    def hold_back(self, schedule: str, position: Position) -> None:
        """Leave *schedule* behind at *position*, before any tick that would let it be overlooked is out."""

    def record(self, missed: Missed) -> None:
        """Keep a record of ticks that are not enqueued."""

    def write_watermark(self, watermark: Watermark) -> None:
        """Replace the watermark without a tick."""

    def write_roster(self, roster: Roster) -> None:
        """Replace the roster."""
