"""What a new leader makes of what the last one has left: who stands where."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

from periodic.errors import PeriodicError
from periodic.position import Position
from periodic.roster import Entry, Roster, timing_of
from periodic.schedule import Schedule
from periodic.watermark import Watermark

log = logging.getLogger(__name__)

# A watermark further ahead than this was moved by a clock that is wrong, or ours is.
FURTHEST_AHEAD = timedelta(minutes=5)
# How long the place of a schedule is kept that the newest leader does not know.
TOMBSTONE = timedelta(days=1)


class MustNotLead(PeriodicError):
    """This replica leaves leading to others."""


@dataclass(frozen=True)
class Replica:
    """One process that may lead.

    Attributes:
        name: what it is called in logs and in the watermark.
        started: when it started, in UTC; what its code has anew counts from then on at the earliest.
        schedules: those of its code, by name.
        generation: replicas of a lower one than has led before never lead.
        accept: returns a schedule that an operator has made, with its arguments as they are sent; raises a
            ``PeriodicError`` if its code can't run it.
        added: the names of the schedules that operators have made.
    """

    name: str
    started: datetime
    schedules: Mapping[str, Schedule] = field(repr=False)
    generation: int = 0
    accept: Callable[[Schedule], Schedule] = field(default=lambda schedule: schedule, repr=False)
    added: frozenset[str] = field(default=frozenset(), repr=False)

    @cached_property
    def timings(self) -> Mapping[str, str]:
        """Those of its schedules, as the roster has them; with many they take longer than a failover may."""
        return {name: timing_of(schedule) for name, schedule in self.schedules.items()}


@dataclass(frozen=True, slots=True)
class Takeover:
    """Where a new leader goes on.

    Attributes:
        roster: with the schedules of this leader.
        watermark: as it is, or as it is to be from now on where there was none.
        positions: behind which each schedule goes on; those that are paused are missing.
        is_new: whether the roster differs from what it was, and is to be written before anything else.
    """

    roster: Roster
    watermark: Watermark
    positions: Mapping[str, Position]
    is_new: bool


def take_over(roster: Roster | None, watermark: Watermark | None, replica: Replica, now: datetime) -> Takeover:
    """Return where *replica* goes on, from what the queues hold; None stands for nothing.

    Without a watermark it starts from *now*.

    Raises:
        MustNotLead: another replica must lead, or an operator act.
    """
    _refuse(roster, watermark, replica, now)
    known = roster or Roster()
    mark = watermark or Watermark(Position.behind_all(now), now, batch=known.batch)
    entries: dict[str, Entry] = {}
    positions: dict[str, Position] = {}
    for name, timing in replica.timings.items():
        entry, at = known.entries.get(name), mark.mark
        if entry is None:
            since = _first_seen(replica.schedules[name], roster, watermark, replica, now)
            at = Position.behind_all(since)
        else:
            since, at = entry.since, position(name, known, mark)
            # The new timing begins with the replica that has it, or where a leader that was late by then has left off.
            if entry.timing != timing and mark.moved_at < replica.started:
                since = replica.started
        if since >= at.due:
            at = max(at, Position.behind_all(since))
        positions[name] = at
        resume = at if at < mark.mark else None
        entries[name] = _entry(entry or Entry(timing, since), timing, since, resume)
    entries |= _gone(known, mark, replica, now)
    new = replace(known, entries=entries, batch=max(known.batch, mark.batch) + 1, generation=replica.generation)
    is_new = roster is None or _facts(new) != _facts(roster)
    if not is_new:
        new = known
    playing = {name: at for name, at in positions.items() if not new.entries[name].paused}
    return Takeover(new, _begin(new, mark, playing, replica), playing, is_new)


def position(name: str, roster: Roster, watermark: Watermark) -> Position:
    """Return where the schedule *name*, which *roster* has, stands."""
    entry = roster.entries[name]
    if name in watermark.behind:
        return watermark.behind[name]
    if entry.resume is None:
        return watermark.mark
    if entry.gone_at is not None or watermark.batch < roster.batch:
        return entry.resume
    if watermark.batch == roster.batch and watermark.backlog is not None:
        return max(entry.resume, watermark.backlog)
    return watermark.mark


def _refuse(roster: Roster | None, watermark: Watermark | None, replica: Replica, now: datetime) -> None:
    if roster is not None and roster.generation > replica.generation:
        raise MustNotLead(
            f"ACTORS_GENERATION={replica.generation} is older than {roster.generation}, which has led already"
        )
    if watermark is not None:
        check_clock(watermark, now)


def check_clock(watermark: Watermark, now: datetime) -> None:
    """Do nothing, if *now* is not too far behind *watermark*.

    Raises:
        MustNotLead: it is; whoever led would wait for a long time before the next tick.
    """
    if watermark.mark.due - now > FURTHEST_AHEAD:
        raise MustNotLead(
            f"the watermark stands at {watermark.mark.due.isoformat()}, {watermark.mark.due - now} ahead of this "
            "machine's clock; one of the clocks is wrong"
        )


def _first_seen(
    schedule: Schedule, roster: Roster | None, watermark: Watermark | None, replica: Replica, now: datetime
) -> datetime:
    """Return from when on the ticks of a schedule count that is not in the roster."""
    if watermark is None:
        return now
    if roster is None:
        # The roster was lost. Whatever is up to the watermark is out.
        return watermark.mark.due
    # A leader with older code may have held this one up, which is no reason to miss its ticks.
    return min(now, max(replica.started, now - schedule.catch_up))


def _entry(entry: Entry, timing: str, since: datetime, resume: Position | None) -> Entry:
    """Return *entry* with all this; mostly it is so already, and with many a copy of each costs time."""
    if (entry.timing, entry.since, entry.resume, entry.gone_at) == (timing, since, resume, None):
        return entry
    return replace(entry, timing=timing, since=since, resume=resume, gone_at=None)


def _gone(roster: Roster, watermark: Watermark, replica: Replica, now: datetime) -> dict[str, Entry]:
    """Return the entries of schedules that this replica does not know: a newer or an older one may."""
    gone: dict[str, Entry] = {}
    for name, entry in roster.entries.items():
        if name in replica.schedules:
            continue
        if entry.gone_at is None:
            log.warning("schedule %r is not in the code of %s: it has gone, or is newer", name, replica.name)
            gone[name] = replace(entry, resume=position(name, roster, watermark), gone_at=now)
        elif now - entry.gone_at < TOMBSTONE:
            gone[name] = entry
    return gone


def _begin(roster: Roster, watermark: Watermark, positions: Mapping[str, Position], replica: Replica) -> Watermark:
    """Return the watermark as it is before the first tick of a term."""
    waiting = [at for name, at in positions.items() if at < watermark.mark and name not in watermark.behind]
    return replace(
        watermark,
        behind={name: at for name, at in watermark.behind.items() if name in positions},
        batch=roster.batch,
        backlog=min(waiting, default=None),
        leader=replica.name,
    )


def _facts(roster: Roster) -> object:
    """Return what of *roster* is not a matter of its batch."""
    return roster.generation, {
        name: entry if entry.resume is None else replace(entry, resume=None) for name, entry in roster.entries.items()
    }
