"""What an operator's word makes of the roster: pauses, and schedules that are made at run time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice, takewhile
from typing import Any

from periodic.errors import PeriodicError, ScheduleError
from periodic.inquiry import Inquiry
from periodic.missed import Missed
from periodic.position import Position, ticks_behind
from periodic.roster import Entry, Roster, timing_of
from periodic.run_time import ADDED, changed, definitions, run_time_schedule
from periodic.schedule import Schedule
from periodic.suggestion import did_you_mean
from periodic.takeover import FURTHEST_AHEAD, Replica, position
from periodic.watermark import Watermark

# The answers to the newest changes stay in the roster: a change that comes twice is made once, whoever leads then.
ANSWERED = "answered"
_MOST_ANSWERED = 20

# A longer row of ticks that a pause has cost is not counted.
_MOST_COUNTED = 10_000

# When a schedule was paused, by whom, and where it stood then.
PAUSED_AT, PAUSED_BY, PAUSED_FROM = "paused_at", "paused_by", "paused_from"


class Refused(PeriodicError):
    """A change can't be made."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a change.

    Attributes:
        roster: as it is from now on.
        text: what was done, in words.
        missed: records of ticks that are not enqueued because of it.
        watermark: what replaces the watermark, or None.
    """

    roster: Roster
    text: str
    missed: tuple[Missed, ...] = ()
    watermark: Watermark | None = None


def answered(roster: Roster, inquiry: Inquiry) -> str | None:
    """Return what was answered to *inquiry* before; None if it is new."""
    before = roster.more.get(ANSWERED)
    text = before.get(inquiry.id) if isinstance(before, Mapping) else None
    return text if isinstance(text, str) else None


@dataclass(frozen=True, slots=True)
class Case:
    """A change that is wanted, and what it is about.

    Attributes:
        inquiry: one of ``CHANGES``.
        roster, watermark: as they are.
        replica: the leader, with all schedules that it knows.
        now: what time it is.
    """

    inquiry: Inquiry
    roster: Roster
    watermark: Watermark
    replica: Replica
    now: datetime


def change(case: Case) -> Change:
    """Return what becomes of *case*.

    Raises:
        Refused: it can't be done; why is said to whoever asked for it.
    """
    make = _MAKERS.get(case.inquiry.action)
    if make is None:
        raise Refused(f"{case.replica.name} knows no {case.inquiry.action!r}; it is of another version")
    try:
        made = make(case)
    except ScheduleError as error:
        raise Refused(str(error)) from None
    before = made.roster.more.get(ANSWERED)
    answers = {**(before if isinstance(before, Mapping) else {}), case.inquiry.id: made.text}
    newest = dict(list(answers.items())[-_MOST_ANSWERED:])
    return replace(made, roster=replace(made.roster, more={**made.roster.more, ANSWERED: newest}))


def _pause(case: Case) -> Change:
    name = _name(case.inquiry)
    entry = _entry(case.roster, name)
    if entry.paused:
        return Change(case.roster, f"{name} was paused already")
    # Ticks that are due by now may not be out yet.
    stands = max(position(name, case.roster, case.watermark), Position.behind_all(entry.since))
    about = {PAUSED_AT: case.now.isoformat(), PAUSED_BY: case.inquiry.by, PAUSED_FROM: stands.to_json()}
    more = {**entry.more, **about}
    paused = replace(entry, paused=True, more=more)
    return Change(case.roster.with_entry(name, paused), f"paused {name}: it enqueues nothing until it is resumed")


def _resume(case: Case) -> Change:
    name = _name(case.inquiry)
    entry = _entry(case.roster, name)
    if not entry.paused:
        return Change(case.roster, f"{name} was not paused")
    more = {key: value for key, value in entry.more.items() if key not in (PAUSED_AT, PAUSED_BY, PAUSED_FROM)}
    # What the pause has cost stays missed.
    resumed = replace(entry, paused=False, since=case.now, resume=None, more=more)
    missed = _cost(case.replica.schedules.get(name), entry, case.now)
    lost = f"; of its ticks in the pause none is enqueued, from {missed[0].time.isoformat()} on" if missed else ""
    return Change(case.roster.with_entry(name, resumed), f"resumed {name}{lost}", missed)


def _add(case: Case) -> Change:
    name, definition = _name(case.inquiry), _definition(case.inquiry)
    added = definitions(case.roster)
    if name in added:
        if added[name] == definition:
            return Change(case.roster, f"{name} was there already")
        raise Refused(f"{name!r} was added before, with another definition; use change, or remove it first")
    entry = case.roster.entries.get(name)
    if name in case.replica.schedules or (entry is not None and entry.gone_at is None):
        raise Refused(f"{name!r} is declared in the code; take another name")
    return Change(_with(case, added, name, definition), f"added {name}")


def _change(case: Case) -> Change:
    name = _name(case.inquiry)
    added = _added(case, name)
    definition = changed(added[name], _definition(case.inquiry))
    if definition == added[name]:
        return Change(case.roster, f"{name} was like that already")
    return Change(_with(case, added, name, definition), f"changed {name}")


def _remove(case: Case) -> Change:
    name = _name(case.inquiry)
    added = _added(case, name)
    del added[name]
    entries = dict(case.roster.entries)
    if name not in case.replica.schedules or name in case.replica.added:
        # Without a trace: one that is added again under this name counts from then on.
        entries.pop(name, None)
    more = {**case.roster.more, ADDED: added}
    return Change(replace(case.roster, entries=entries, more=more), f"removed {name}")


def _reset(case: Case) -> Change:
    text = case.inquiry.fields.get("to")
    to = case.now if text is None else datetime.fromisoformat(str(text))
    return reset(case.roster, case.watermark, to, case.now, force=case.inquiry.fields.get("force") is True)


def reset(roster: Roster, watermark: Watermark, to: datetime, now: datetime, *, force: bool) -> Change:
    """Return what it takes that the ticks of all schedules count from *to* on.

    Raises:
        Refused: the watermark is sane, and *force* is not given; or *to* is in the future.
    """
    mark = watermark.mark.due
    if to > now:
        raise Refused(f"{to.isoformat()} is in the future; what is due until then would not be enqueued")
    if mark - now <= FURTHEST_AHEAD and not force:
        raise Refused(
            f"the watermark is sane: it stands at {mark.isoformat()}. With --force it is moved all the same: ticks "
            "after it that are out are enqueued again, and those before it that are not are not any more"
        )
    entries = {
        name: replace(entry, since=min(entry.since, to), resume=None, gone_at=entry.gone_at and min(entry.gone_at, now))
        for name, entry in roster.entries.items()
    }
    moved_at = min(watermark.moved_at, now)
    moved = replace(watermark, mark=Position.behind_all(to), moved_at=moved_at, behind={}, backlog=None)
    text = f"moved the watermark from {mark.isoformat()} to {to.isoformat()}"
    return Change(replace(roster, entries=entries), text, watermark=moved)


_MAKERS: dict[str, Callable[[Case], Change]] = {
    "pause": _pause,
    "resume": _resume,
    "add": _add,
    "change": _change,
    "remove": _remove,
    "reset-watermark": _reset,
}


def _name(inquiry: Inquiry) -> str:
    name = inquiry.fields.get("schedule")
    if not isinstance(name, str) or not name.strip():
        raise Refused("a schedule must have a name")
    return name


def _definition(inquiry: Inquiry) -> dict[str, Any]:
    definition = inquiry.fields.get("definition")
    if not isinstance(definition, dict):
        raise Refused("a schedule must have a definition")
    return definition


def _entry(roster: Roster, name: str) -> Entry:
    entry = roster.entries.get(name)
    if entry is None:
        raise Refused(f"no schedule is called {name!r}{did_you_mean(name, roster.entries)}")
    return entry


def _added(case: Case, name: str) -> dict[str, Mapping[str, Any]]:
    """Return all definitions; one is that of *name*."""
    added = definitions(case.roster)
    if name in added:
        return added
    if name in case.replica.schedules:
        raise Refused(f"{name!r} is declared in the code: change it there, or pause it")
    raise Refused(f"no schedule that was added at run time is called {name!r}{did_you_mean(name, added)}")


def _with(case: Case, added: Mapping[str, Mapping[str, Any]], name: str, definition: Mapping[str, Any]) -> Roster:
    """Return the roster with a definition; the ticks of a timing that is new count from now on."""
    timing = timing_of(case.replica.accept(run_time_schedule(name, definition)))
    entry = case.roster.entries.get(name)
    if entry is None or entry.timing != timing:
        entry = replace(entry or Entry(timing, case.now), timing=timing, since=case.now, resume=None)
    roster = case.roster.with_entry(name, entry)
    return replace(roster, more={**roster.more, ADDED: {**added, name: dict(definition)}})


def _cost(schedule: Schedule | None, entry: Entry, now: datetime) -> tuple[Missed, ...]:
    """Return the record of the ticks that a pause has cost; none if there are none, or none knows them."""
    try:
        since = datetime.fromisoformat(str(entry.more.get(PAUSED_AT))).isoformat(timespec="seconds")
        if schedule is None:
            return ()
        behind = ticks_behind(schedule, Position.from_json(entry.more[PAUSED_FROM]))
        ticks = takewhile(lambda tick: tick.due <= now, behind)
        first, last, count = None, None, 0
        for last in islice(ticks, _MOST_COUNTED):
            first, count = first or last, count + 1
    except Exception:
        # Of a trigger that is not ours; a schedule that fails can be resumed, too.
        return ()
    if first is None or last is None:
        return ()
    until = now if count == _MOST_COUNTED else last.time
    by = entry.more.get(PAUSED_BY)
    reason = f"it was paused{f' by {by}' if by else ''} from {since} on"
    return (Missed(schedule.name, first.time, reason, until=until if count > 1 else None),)
