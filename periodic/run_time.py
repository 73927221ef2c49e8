"""Schedules that operators have made at run time: as the roster keeps them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from periodic.declaration import Spec, at, cron, every
from periodic.errors import PeriodicError, ScheduleError
from periodic.roster import Roster, timing_of
from periodic.schedule import Schedule
from periodic.suggestion import did_you_mean
from periodic.takeover import Replica

log = logging.getLogger(__name__)

# Where the roster has them.
ADDED = "added"

# One of them says when.
_WHEN = ("cron", "every", "at")
_CRON_ONLY = ("timezone", "gap", "repeat")
_MOMENTS = ("start", "end")
_OPTIONS = ("args", "kwargs", "queue", "priority", "jitter", "catch_up", "coalesce", "cap", "overlap", *_MOMENTS)
_KNOWN = ("actor", *_WHEN, *_CRON_ONLY, *_OPTIONS)


def definitions(roster: Roster) -> dict[str, Mapping[str, Any]]:
    """Return what *roster* has of schedules made at run time, by name."""
    added = roster.more.get(ADDED)
    return dict(added) if isinstance(added, Mapping) else {}


def with_run_time_schedules(replica: Replica, roster: Roster | None) -> Replica:
    """Return *replica* with the schedules, too, that *roster* has from operators, as far as its code can run them.

    A schedule of the code goes before one of the same name that an operator has made.
    """
    found: dict[str, Schedule] = {}
    for name, definition in definitions(roster or Roster()).items():
        if name in replica.schedules:
            log.warning("schedule %r is declared in the code; what was added under this name does not count", name)
            continue
        try:
            found[name] = replica.accept(run_time_schedule(name, definition))
        except PeriodicError as error:
            log.error("a schedule that was added at run time enqueues nothing: %s", error)
    if not found:
        return replica
    joined = replace(replica, schedules={**replica.schedules, **found}, added=frozenset(found))
    # Those of the code are known; with many they take longer than a failover may.
    vars(joined)["timings"] = {**replica.timings, **{name: timing_of(each) for name, each in found.items()}}
    return joined


def run_time_schedule(name: str, definition: Mapping[str, Any]) -> Schedule:
    """Return the schedule *name* that *definition* describes.

    Args:
        name: what it is called.
        definition: in JSON's types: ``actor``; one of ``cron``, an expression, with ``timezone``, ``gap`` and
            ``repeat``; ``every``, in milliseconds; ``at``, a list of times; and the options of
            :class:`~periodic.options.ScheduleOptions`, times as ISO 8601, durations in milliseconds.

    Raises:
        ScheduleError: it could not work.
    """
    who = f"periodic {name!r}"
    for key in definition:
        if key not in _KNOWN:
            raise ScheduleError(f"{who}: unknown option {key!r}{did_you_mean(str(key), _KNOWN)}")
    actor = definition.get("actor")
    if not isinstance(actor, str) or not actor:
        raise ScheduleError(f"{who}: it must name an actor")
    options = {key: definition[key] for key in _OPTIONS if key in definition}
    for key in _MOMENTS:
        if key in options:
            options[key] = _moment(options[key], who)
    return _spec(definition, {**options, "name": name}, who).schedule(name, actor)


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition *old* with what *new* says in place of its own; one that says when replaces the other."""
    kept = dict(old)
    if any(key in new for key in _WHEN):
        lost = _WHEN if "cron" in new else (*_WHEN, *_CRON_ONLY)
        kept = {key: value for key, value in kept.items() if key not in lost}
    return {**kept, **new}


def _spec(definition: Mapping[str, Any], options: dict[str, Any], who: str) -> Spec:
    given = [key for key in _WHEN if key in definition]
    if len(given) != 1:
        raise ScheduleError(f"{who}: it must have one of cron, every and at, not {' and '.join(given) or 'none'}")
    [when] = given
    value = definition[when]
    clocks = {key: definition[key] for key in _CRON_ONLY if key in definition}
    if when == "cron":
        return cron(value, **clocks, **options)
    if clocks:
        raise ScheduleError(f"{who}: {', '.join(clocks)} belongs to cron, not to {when}")
    if when == "every":
        return every(_length(value, who), **options)
    if not isinstance(value, list):
        raise ScheduleError(f"{who}: at={value!r} must be a list of times")
    return at(*(_moment(each, who) for each in value), **options)


def _length(value: object, who: str) -> timedelta:
    try:
        return timedelta(milliseconds=value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ScheduleError(f"{who}: every={value!r} must be a number of milliseconds") from None


def _moment(value: object, who: str) -> datetime:
    try:
        return datetime.fromisoformat(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ScheduleError(f"{who}: {value!r} is no ISO 8601 time, such as '2030-01-01T09:00:00+08:00'") from None
