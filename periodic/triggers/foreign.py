"""APScheduler's triggers as ours: without state, and without a start that each process would have for itself.

APScheduler tells a trigger when it last fired. Here nothing is remembered but the watermark, so a trigger must answer
by the moment alone. Those of APScheduler that can be ours become ours; any other is copied for each use, asked from
its beginning on where it takes no notice of the moment, and refused where its answers do not agree with each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from periodic.errors import ScheduleError, TriggerError
from periodic.triggers.combined import AllOf, AnyOf, Between
from periodic.triggers.interval import Interval
from periodic.triggers.moments import Moments
from periodic.triggers.trigger import Firing, Trigger

_MICROSECOND = timedelta(microseconds=1)
# A trigger is tried from here when it is declared; a fixed moment, so that each replica sees the same.
_TRIAL = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Foreign(Trigger):
    """Fires when a trigger says that is not ours; *text* has its class and its state."""

    trigger: BaseTrigger
    text: str

    def firings(self, after: datetime) -> Iterator[Firing]:
        """Yield the times that a copy of the trigger names.

        Raises:
            TriggerError: it names what can't be its next time.
        """
        trigger = deepcopy(self.trigger)
        answer = self._next(trigger, None, after)
        while answer is not None:
            time = answer.astimezone(UTC)
            if time > after:
                yield Firing(time)
            answer = self._next(trigger, answer, time)
            if answer is not None and answer <= time:
                raise TriggerError(
                    f"{self.text} goes from {time.isoformat()} to {answer.isoformat()}, which is no later"
                )

    def _next(self, trigger: BaseTrigger, previous: datetime | None, after: datetime) -> datetime | None:
        """Return what it says, in its own zone: some count days there."""
        try:
            answer = trigger.get_next_fire_time(previous, after + _MICROSECOND)
        except Exception as error:
            raise TriggerError(f"{self.text} failed: {type(error).__name__}: {error}") from error
        if answer is not None and (not isinstance(answer, datetime) or answer.utcoffset() is None):
            raise TriggerError(f"{self.text} says {answer!r}, which is no datetime with a time zone")
        return answer


def ours(trigger: object, who: str) -> Trigger:
    """Return what fires when APScheduler's *trigger* says.

    Raises:
        ScheduleError: it is no such trigger, or its answers depend on more than the moment; the text starts with *who*.
    """
    name = type(trigger).__name__
    if isinstance(trigger, CronTrigger):
        raise ScheduleError(
            f"{who}: {name} is not taken: Monday is 0 there, days are combined otherwise than cron does, and "
            "changes of clocks double or drop its times; use cron('0 9 * * 1-5', timezone='…')"
        )
    if not isinstance(trigger, BaseTrigger):
        raise ScheduleError(f"{who}: {trigger!r} is none of cron(), every(), at(), or a trigger of APScheduler's")
    if getattr(trigger, "jitter", None):
        raise ScheduleError(f"{who}: the jitter of {name} is another on each replica; use trigger(…, jitter=…)")
    # Of these classes only: one that inherits from them may fire otherwise.
    if type(trigger) is IntervalTrigger:
        return _interval(trigger)
    if type(trigger) is DateTrigger:
        return _moment(trigger, who)
    if type(trigger) is OrTrigger:
        return AnyOf(tuple(ours(each, who) for each in trigger.triggers))
    if type(trigger) is AndTrigger:
        return _tried(AllOf(tuple(ours(each, who) for each in trigger.triggers)), who)
    if type(trigger) is CalendarIntervalTrigger and trigger.start_date == date.today():
        raise ScheduleError(
            f"{who}: {name} starts today, as it also does without start_date=, and then each process counts from a day "
            "of its own; give it an earlier one"
        )
    return _tried(Foreign(deepcopy(trigger), _text(trigger, who)), who)


def _interval(trigger: IntervalTrigger) -> Trigger:
    last = trigger.end_date and trigger.end_date.astimezone(UTC)
    if trigger.start_date.microsecond:
        # What APScheduler makes of a start that is not given: one interval after the start of this process.
        every: Trigger = Interval(trigger.interval)
        return Between(every, None, last) if last else every
    first = trigger.start_date.astimezone(UTC)
    return Between(Interval(trigger.interval, first), first, last)


def _moment(trigger: DateTrigger, who: str) -> Trigger:
    if trigger.run_date.microsecond:
        # What APScheduler makes of a date that is not given.
        raise ScheduleError(f"{who}: DateTrigger without run_date= fires when each process starts; use at(…)")
    return Moments((trigger.run_date.astimezone(UTC),))


def _text(trigger: BaseTrigger, who: str) -> str:
    kind = type(trigger)
    text = f"{kind.__module__}.{kind.__qualname__}({trigger.__getstate__()!r})"
    if " at 0x" in text:
        raise ScheduleError(
            f"{who}: {text} is another in each process, so that a change of it could not be told; "
            "give what it holds a __repr__ that tells its values"
        )
    return text


def _tried(trigger: Trigger, who: str) -> Trigger:
    """Return *trigger*, if it gives the same times whatever moment it is asked from.

    Raises:
        ScheduleError: it does not, or fails.
    """
    try:
        times = list(islice(trigger.after(_TRIAL), 4))
        for time, following in pairwise(times):
            for moment in (time, time + (following - time) / 2):
                other = next(trigger.after(moment), None)
                if other != following:
                    raise ScheduleError(
                        f"{who}: {trigger.text} goes on from {time.isoformat()} to {following.isoformat()}, and when "
                        f"it is first asked at {moment.isoformat()}, to {other}; its times must not depend on when it "
                        "is asked, or on what it said before"
                    )
    except TriggerError as error:
        raise ScheduleError(f"{who}: {error}") from None
    return trigger
