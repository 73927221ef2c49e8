"""What comes next in each schedule, found out before a replica leads: with many it takes longer than a failover may."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from periodic.agenda import Agenda, Upcoming
from periodic.position import Position
from periodic.schedule import Schedule

# Who stands by does not know how far the leader is, and guesses that it is less than this behind the clock.
BEHIND = timedelta(seconds=5)
# How many ticks are passed at once: a few milliseconds' work, for which the baton may have to wait.
AT_ONCE = 500


class Outlook:
    """The next tick of each schedule, a few seconds ago; from there it is not far to where a term begins.

    Args:
        schedules: those of a replica.
        now: what time it is.
    """

    def __init__(self, schedules: Iterable[Schedule], now: datetime) -> None:
        start = Position.behind_all(now - BEHIND)
        self._agenda = Agenda()
        self._upcoming = {each.name: Upcoming(each, start) for each in schedules}
        for upcoming in self._upcoming.values():
            self._line_up(upcoming)

    def follow(self, now: datetime) -> bool:
        """Pass ticks that must be out by *now*; return whether there may be more of them."""
        for _ in range(AT_ONCE):
            when = self._agenda.when
            if when is None or when > now - BEHIND:
                return False
            upcoming = self._upcoming[self._agenda.pop()]
            with suppress(Exception):
                upcoming.forward(Position.behind_all(when))
            self._line_up(upcoming)
        return True

    def upcoming(self, schedule: Schedule, position: Position) -> Upcoming:
        """Return the ticks of *schedule* behind *position*, which are then passed here, too."""
        known = self._upcoming.get(schedule.name)
        # One that an operator has made is another object in each term.
        is_same = known is not None and (known.schedule is schedule or known.schedule == schedule)
        if known is not None and is_same and known.position <= position and not known.is_kept:
            # A trigger that raises leaves it somewhere before the position.
            with suppress(Exception):
                known.forward(position)
                return known
        new = self._upcoming[schedule.name] = Upcoming(schedule, position)
        return new

    def _line_up(self, upcoming: Upcoming) -> None:
        with suppress(Exception):
            tick = upcoming.tick
            if tick is not None:
                self._agenda.push(tick.due, upcoming.schedule.name)
