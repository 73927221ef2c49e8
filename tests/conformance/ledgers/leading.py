"""A leader on a subject, whose time is the test's."""

from __future__ import annotations

from periodic.leader import Leader
from periodic.schedule import Schedule
from periodic.sqlite.ledger import TakenBack
from periodic.status import Status
from periodic.takeover import Replica
from periodic.tick import Tick
from tests.conformance.ledgers.subject import Begun, Subject
from tests.unit.periodic.moments import MIDNIGHT, after


class Leading:
    """A replica of *schedules* that leads from so many seconds after midnight on, with code that has run since then."""

    def __init__(
        self, subject: Subject, *schedules: Schedule, name: str = "one", since: float = 0, generation: int = 0
    ) -> None:
        self._subject = subject
        self._now = after(since)
        replica = Replica(name, MIDNIGHT, {each.name: each for each in schedules}, generation)
        self.status = Status(name)
        self._lead(subject.begin(replica, self._now))

    def run_until(self, seconds: float) -> None:
        """Take all turns until so many seconds after midnight, at the moments when they are due."""
        while (turn := self._leader.next_turn()) is not None and (now := max(turn, self._now)) <= after(seconds):
            self._now = now
            try:
                self._leader.take_turn(now)
                self.begun.flush()
            except TakenBack:
                # As a scheduler does it: one message was not taken, and all is tried again.
                self._lead(self.begun.again(now))
        self._now = max(self._now, after(seconds))

    def _lead(self, begun: Begun) -> None:
        self.begun = begun
        schedules, positions = begun.replica.schedules, begun.positions
        self._leader = Leader(begun.ledger, schedules, positions, self._subject.publication, self.status, self._now)


def ids(name: str, *seconds: float) -> list[str]:
    """The ids of the ticks of *name* that are due so many seconds after midnight."""
    return [Tick(name, after(each), after(each)).id for each in seconds]


def tick(name: str, seconds: float) -> Tick:
    """The tick of *name* that is due so many seconds after midnight."""
    return Tick(name, after(seconds), after(seconds))
