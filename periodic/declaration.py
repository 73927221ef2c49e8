"""``cron``, ``every``, ``at`` and ``trigger``: what the actor option ``periodic=`` takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeAlias, Unpack
from zoneinfo import ZoneInfo

from periodic.errors import ScheduleError
from periodic.options import ScheduleOptions, aware, checked, one_of
from periodic.schedule import Schedule
from periodic.triggers.cron import Cron, Gap, Repeat
from periodic.triggers.expression import parse
from periodic.triggers.interval import EPOCH, Interval
from periodic.triggers.moments import Moments
from periodic.triggers.trigger import Trigger
from periodic.zone import zone_of

SHORTEST = timedelta(milliseconds=1)
LONGEST = timedelta(days=36_525)


class ForeignTrigger(Protocol):
    """What a trigger of APScheduler's can do."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Return the next time."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A schedule that has no actor yet: what :func:`cron`, :func:`every`, :func:`at` and :func:`trigger` return.

    Attributes:
        trigger: when it fires.
        options: its checked options, without its name.
        name: its name, if the declaration gives one.
    """

    trigger: Trigger
    options: Mapping[str, Any]
    name: str | None = None

    def schedule(self, name: str, actor: str, **replaced: Any) -> Schedule:
        """Return the schedule *name* of *actor*, with options in place of its own."""
        return Schedule(name=name, actor=actor, trigger=self.trigger.named(name), **{**self.options, **replaced})


def cron(
    expr: str,
    *,
    timezone: str | ZoneInfo = "UTC",
    gap: Gap | None = None,
    repeat: Repeat | None = None,
    **options: Unpack[ScheduleOptions],
) -> Spec:
    """Run an actor whenever the clocks of *timezone* show a time of the cron expression *expr*.

    Args:
        expr: five fields (minute, hour, day of the month, month, day of the week), or six with seconds first, or
            ``@hourly``, ``@daily``, ``@weekly``, ``@monthly``, ``@yearly``. Debian's rules: Sunday is 0 and 7; where
            both kinds of day are given, either will do; ``L`` is the last day of the month, ``5L`` its last Friday,
            ``1#2`` its second Monday. ``H`` is a number that the schedule's name decides, so that many schedules
            don't fire at once: ``H 3 * * *``, ``H/15 * * * *``, ``H H(1-4) * * *``.
        timezone: a name such as ``"Europe/Berlin"``, or a ``ZoneInfo``.
        gap: what a time does that the clocks leave out when they are put forward: it fires at the ``"end"`` of what
            they leave out, once for all of them, or not at all, ``"skip"``. Default ``"end"``; for an expression that
            fires in each hour of the day ``"skip"``, as its next hour comes anyway.
        repeat: which one fires of a time that the clocks show twice when they are put back: the ``"first"``, the
            ``"last"``, or ``"both"``. Default ``"first"``; where the minute or the hour begins with ``*`` or ``H/``,
            it is ``"both"``: ``*/15`` runs through.
        **options: see :class:`~periodic.options.ScheduleOptions`.

    Raises:
        ScheduleError: *expr* can't be read, or would never fire; or another value could not work.
    """
    who = _who(options)
    if not isinstance(expr, str):
        raise ScheduleError(f"{who}: {expr!r} must be a str, such as '0 9 * * 1-5'")
    expression = parse(expr, who)
    if gap is None:
        gap = "skip" if expression.every_hour else "end"
    if repeat is None:
        repeat = "both" if expression.interval or expression.every_hour else "first"
    trigger = Cron(
        expression,
        zone_of(timezone, who),
        one_of(Gap, gap, who, "gap"),
        one_of(Repeat, repeat, who, "repeat"),
    )
    return _spec(trigger, options, who)


def every(
    interval: timedelta | None = None,
    *,
    weeks: float = 0,
    days: float = 0,
    hours: float = 0,
    minutes: float = 0,
    seconds: float = 0,
    **options: Unpack[ScheduleOptions],
) -> Spec:
    """Run an actor at a fixed interval: ``every(minutes=5)``, or ``every(timedelta(minutes=5))``.

    It is counted from *start*, and without one from the beginning of 1970 in UTC, so ``every(hours=6)`` fires at
    midnight, 6, 12 and 18 o'clock UTC: never from the start of a process, which differs on each replica. Changes of
    clocks do not touch it; for a time of day use :func:`cron`.

    Raises:
        ScheduleError: it is shorter than a millisecond, or longer than a century; or an option could not work.
    """
    who = _who(options)
    parts = {"weeks": weeks, "days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
    # Before the length: a unit that every() does not have is among them.
    values = checked(options, who, beside=parts)
    given = {name: value for name, value in parts.items() if value}
    if interval is not None and given:
        raise ScheduleError(f"{who}: give every() a timedelta or {', '.join(f'{name}=' for name in given)}, not both")
    length: object = interval if interval is not None else _length(given, who)
    if not isinstance(length, timedelta) or not SHORTEST <= length <= LONGEST:
        raise ScheduleError(f"{who}: every({length!r}) must be a timedelta from 1 ms to {LONGEST.days:,} days")
    name = values.pop("name", None)
    return Spec(Interval(length, values.get("start", EPOCH)), values, name)


def at(*moments: datetime, **options: Unpack[ScheduleOptions]) -> Spec:
    """Run an actor at one moment or several, each with a time zone.

    Raises:
        ScheduleError: there is none, or one has no time zone; or an option could not work.
    """
    who = _who(options)
    if not moments:
        raise ScheduleError(f"{who}: at() needs a moment, such as datetime(2030, 1, 1, 9, tzinfo=UTC)")
    times = sorted({aware(moment, who, "moment") for moment in moments})
    return _spec(Moments(tuple(times)), options, who)


def trigger(trigger: ForeignTrigger, **options: Unpack[ScheduleOptions]) -> Spec:
    """Run an actor when an APScheduler *trigger* says; one without options may also be given to ``periodic=`` itself.

    Give it ``timezone=``: without one it takes that of the machine, which need not be the same for each replica.

    Raises:
        ScheduleError: it is no such trigger, or its answers depend on more than the moment for which it is asked; or
            an option could not work.
    """
    # Here, so that only an application that uses APScheduler waits for it at start.
    from periodic.triggers.foreign import ours

    who = _who(options)
    return _spec(ours(trigger, who), options, who)


# What the actor option ``periodic=`` takes: one schedule, or several, each with a name of its own.
Periodic: TypeAlias = "Spec | ForeignTrigger | Sequence[Spec | ForeignTrigger] | Mapping[str, Spec | ForeignTrigger]"


def _who(options: Mapping[str, Any]) -> str:
    return f"periodic {options['name']!r}" if options.get("name") else "periodic"


def _spec(trigger: Trigger, options: Mapping[str, Any], who: str) -> Spec:
    values = checked(options, who)
    return Spec(trigger, values, values.pop("name", None))


def _length(parts: dict[str, float], who: str) -> timedelta:
    try:
        return timedelta(**parts)
    except (TypeError, ValueError, OverflowError) as error:
        raise ScheduleError(f"{who}: every({parts}): {error}") from None
