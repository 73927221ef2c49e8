"""Publishes the ticks of all schedules, one after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from periodic.agenda import Agenda, Upcoming
from periodic.catch_up import catch_up, is_late
from periodic.outlook import Outlook
from periodic.position import Position
from periodic.protocol import Ledger, NotTaken
from periodic.schedule import Schedule
from periodic.status import Status
from periodic.tick import Tick

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 60

Publication = TypeVar("Publication")
Publish = Callable[[Schedule, Tick], Publication]


class Leader(Generic[Publication]):
    """The work of one term.

    Ticks of all schedules are published in one order, so that one watermark says which are out. A schedule whose tick
    can't be published is left behind, with a place of its own in the watermark, and tried again alone.

    Args:
        ledger: has begun.
        schedules: by name.
        positions: behind which each of them goes on; others are paused.
        publication: makes the message of a tick; what it raises is this tick's problem.
        status: kept up to date.
        now: what time it is.
        outlook: of the replica; None to find out now what comes next.
    """

    def __init__(
        self,
        ledger: Ledger[Publication],
        schedules: Mapping[str, Schedule],
        positions: Mapping[str, Position],
        publication: Publish[Publication],
        status: Status,
        now: datetime,
        outlook: Outlook | None = None,
    ) -> None:
        outlook = outlook or Outlook((), now)
        self._ledger = ledger
        self._publication = publication
        self._status = status
        self._agenda = Agenda()
        self._upcoming = {name: outlook.upcoming(schedules[name], at) for name, at in positions.items()}
        self._failures: dict[str, int] = {}
        self._stalled_until: datetime | None = None
        for upcoming in self._upcoming.values():
            self._line_up(upcoming, now)

    def next_turn(self) -> datetime | None:
        """Return when there is something to do; None for never."""
        when = self._agenda.when
        return when if when is None or self._stalled_until is None else max(when, self._stalled_until)

    def waiting(self) -> Iterator[Schedule]:
        """Yield the schedules that have a tick to come."""
        return (each.schedule for name, each in self._upcoming.items() if self.next_tick(name) is not None)

    def next_tick(self, schedule: str) -> Tick | None:
        """Return the next tick of *schedule*; None if it is paused, has none any more, or can't say."""
        upcoming = self._upcoming.get(schedule)
        try:
            return None if upcoming is None else upcoming.tick
        except Exception:
            return None  # it is among those that fail

    def take_turn(self, now: datetime) -> None:
        """Do what is next, which is due at *now*: publish a tick, or see to one that is late.

        Raises:
            Exception: whatever the ledger raises; the term is over.
        """
        self._stalled_until = None
        upcoming = self._upcoming[self._agenda.pop()]
        name = upcoming.schedule.name
        try:
            tick = upcoming.tick
        except Exception as error:
            self._fail(upcoming, error, now)
            return
        if tick is None:
            return
        if not upcoming.is_kept and is_late(upcoming.schedule, tick, now):
            self._catch_up(upcoming, tick, now)
        elif self._publish(upcoming, tick, now):
            upcoming.passed(tick)
            self._recover(name)
        else:
            return
        self._line_up(upcoming, now)

    def _publish(self, upcoming: Upcoming, tick: Tick, now: datetime) -> bool:
        try:
            publication = self._publication(upcoming.schedule, tick)
        except Exception as error:
            self._fail(upcoming, error, now)
            return False
        try:
            self._ledger.enqueue(tick, publication, now)
        except NotTaken as error:
            self._fail(upcoming, error, now)
            return False
        self._status.lateness = now - tick.due
        self._status.fires.enqueue(self._status.lateness)
        return True

    def _catch_up(self, upcoming: Upcoming, tick: Tick, now: datetime) -> None:
        settled = catch_up(upcoming.schedule, tick, now)
        for missed in settled.missed:
            self._ledger.record(missed)
        self._status.fires.missed["coalesce" if upcoming.schedule.coalesce else "cap"] += len(settled.missed)
        if settled.missed:
            last = settled.missed[-1].until or settled.missed[-1].time
            log.warning("%s, up to %s", settled.missed[0], last.isoformat())
        upcoming.keep(settled.kept, settled.resume)

    def _line_up(self, upcoming: Upcoming, now: datetime) -> None:
        """Give a schedule its turn when its next tick is due."""
        try:
            tick = upcoming.tick
        except Exception as error:
            self._fail(upcoming, error, now)
            return
        if tick is not None:
            self._agenda.push(tick.due, upcoming.schedule.name)

    def _fail(self, upcoming: Upcoming, error: Exception, now: datetime) -> None:
        """Leave a schedule behind, and try it again later, alone."""
        name = upcoming.schedule.name
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        again = now + timedelta(seconds=min(LONGEST_PAUSE_S, 2 ** min(failures - 1, 10)))
        self._status.fires.failed += 1
        self._status.failing[name] = f"{type(error).__name__}: {error}"
        # A refusal is the ledger's matter; anything else is the application's, whose author wants to see where.
        trace = None if isinstance(error, NotTaken) else error
        log.error("schedule %r fails, and is tried again at %s: %s", name, again, error, exc_info=trace)
        watermark = self._ledger.watermark
        if name in watermark.behind or not watermark.is_full:
            self._ledger.hold_back(name, upcoming.position)
            self._agenda.push(again, name)
        else:
            # So many fail that it is not a matter of schedules. It stays the first, and nobody overtakes it.
            self._stalled_until = again
            self._agenda.push(upcoming.position.due, name)

    def _recover(self, name: str) -> None:
        if self._failures.pop(name, None):
            self._status.failing.pop(name, None)
            log.info("schedule %r is enqueued again", name)
