"""APScheduler's triggers: taken without state, or refused with what to use instead."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
import time_machine
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from periodic import ScheduleError, TriggerError, trigger
from periodic.triggers.foreign import Foreign

BEGIN = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Hourly(BaseTrigger):  # type: ignore[misc]
    """In the same minute of each hour, by the moment alone."""

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        time = now.replace(minute=self.minute, second=0, microsecond=0)
        return time if time >= now else time + HOUR

    def __init__(self, minute: int = 30) -> None:
        self.minute = minute


def hostile(answer: Callable[[Any, Any], Any]) -> BaseTrigger:
    """A trigger that says what *answer* does."""
    kind = type("Hostile", (BaseTrigger,), {"get_next_fire_time": lambda self, previous, now: answer(previous, now)})
    return kind()


def times(of: Any, count: int, after: datetime = BEGIN) -> list[datetime]:
    return list(islice(trigger(of).trigger.after(after), count))


def refusal(of: Any) -> str:
    with pytest.raises(ScheduleError) as error:
        trigger(of, name="nightly")
    return str(error.value)


@contextmanager
def another_process() -> Iterator[None]:
    with time_machine.travel(datetime(2026, 10, 1, 3, 4, 5, 6, tzinfo=UTC), tick=False):
        yield


def test_an_interval_without_a_start_is_the_same_in_each_process() -> None:
    here = IntervalTrigger(hours=6)
    with another_process():
        there = IntervalTrigger(hours=6)

    assert times(here, 2) == times(there, 2) == [BEGIN + 6 * HOUR, BEGIN + 12 * HOUR]
    assert trigger(here).trigger.text == trigger(there).trigger.text


def test_an_interval_with_a_start_and_an_end_keeps_them() -> None:
    bounded = IntervalTrigger(hours=5, start_date=BEGIN + HOUR, end_date=BEGIN + 6 * HOUR)

    assert times(bounded, 5, BEGIN - DAY) == [BEGIN + HOUR, BEGIN + 6 * HOUR]


def test_an_interval_with_an_end_alone_ends() -> None:
    assert times(IntervalTrigger(hours=6, end_date=BEGIN + 7 * HOUR), 5) == [BEGIN + 6 * HOUR]


def test_a_date_fires_once() -> None:
    assert times(DateTrigger(BEGIN + HOUR), 5) == [BEGIN + HOUR]
    assert times(DateTrigger(BEGIN - HOUR), 5) == []


def test_a_calendar_interval_is_counted_from_its_start_whenever_it_is_asked() -> None:
    monthly = CalendarIntervalTrigger(months=1, hour=9, start_date=date(2026, 1, 15), timezone="Asia/Shanghai")

    assert times(monthly, 2) == [datetime(2026, 11, 15, 1, tzinfo=UTC), datetime(2026, 12, 15, 1, tzinfo=UTC)]
    assert times(monthly, 1, datetime(2026, 11, 15, 1, tzinfo=UTC)) == [datetime(2026, 12, 15, 1, tzinfo=UTC)]


def test_one_of_several_dates_that_is_over_does_not_end_the_others() -> None:
    either = OrTrigger([DateTrigger(BEGIN - DAY), IntervalTrigger(hours=6), DateTrigger(BEGIN + HOUR)])

    assert times(either, 3) == [BEGIN + HOUR, BEGIN + 6 * HOUR, BEGIN + 12 * HOUR]


def test_what_several_name_fires_once() -> None:
    either = OrTrigger([IntervalTrigger(hours=6), IntervalTrigger(hours=12)])

    assert times(either, 3) == [BEGIN + 6 * HOUR, BEGIN + 12 * HOUR, BEGIN + 18 * HOUR]


def test_all_of_several_fire_when_they_agree() -> None:
    both = AndTrigger([IntervalTrigger(hours=4), IntervalTrigger(hours=6)])

    assert times(both, 2) == [BEGIN + 12 * HOUR, BEGIN + 24 * HOUR]
    assert times(AndTrigger([IntervalTrigger(hours=4), DateTrigger(BEGIN + 4 * HOUR)]), 2) == [BEGIN + 4 * HOUR]


def test_those_that_agree_again_and_again_go_on_for_ever() -> None:
    both = AndTrigger([IntervalTrigger(minutes=1), IntervalTrigger(hours=1)])

    assert times(both, 1_800)[-1] == BEGIN + 1_800 * HOUR


def test_several_that_never_agree_are_refused() -> None:
    odd = IntervalTrigger(hours=2, start_date=datetime(2026, 1, 1, 1, tzinfo=UTC))

    assert "agree on no time between 2026-01-01" in refusal(AndTrigger([IntervalTrigger(hours=2), odd]))


def test_a_trigger_of_ones_own_fires_when_it_says() -> None:
    assert times(Hourly(), 2) == [BEGIN + HOUR / 2, BEGIN + 3 * HOUR / 2]
    assert times(Hourly(), 1, BEGIN + HOUR / 2) == [BEGIN + 3 * HOUR / 2]


def test_a_trigger_of_ones_own_is_never_touched() -> None:
    class Counting(Hourly):
        asked = 0

        def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
            self.asked += 1
            return super().get_next_fire_time(previous, now)

    own = Counting()
    times(own, 3)

    assert own.asked == 0


def test_a_trigger_that_remembers_what_it_said_forgets_it_for_each_use() -> None:
    class Once(Hourly):
        last: datetime | None = None

        def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
            time = super().get_next_fire_time(previous, now)
            self.last = time if self.last is None or (time and time > self.last) else self.last + HOUR
            return self.last

    once = trigger(Once()).trigger

    assert next(once.after(BEGIN)) == next(once.after(BEGIN)) == BEGIN + HOUR / 2


def test_what_inherits_from_a_known_trigger_says_itself_when_it_fires() -> None:
    class Later(IntervalTrigger):  # type: ignore[misc]
        def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
            return Hourly().get_next_fire_time(previous, now)

    assert times(Later(hours=6, start_date=BEGIN), 1) == [BEGIN + HOUR / 2]


def test_the_cron_trigger_of_apscheduler_is_refused_with_why() -> None:
    expected = (
        "periodic 'nightly': CronTrigger is not taken: Monday is 0 there, days are combined otherwise than cron does, "
        "and changes of clocks double or drop its times; use cron('0 9 * * 1-5', timezone='…')"
    )

    assert refusal(CronTrigger(hour=9)) == expected
    assert refusal(OrTrigger([DateTrigger(BEGIN), CronTrigger(hour=9)])) == expected


@pytest.mark.parametrize(
    ("of", "problem"),
    [
        (42, "42 is none of cron(), every(), at(), or a trigger of APScheduler's"),
        (
            IntervalTrigger(hours=1, jitter=5),
            "the jitter of IntervalTrigger is another on each replica; use trigger(…, jitter=…)",
        ),
        (AndTrigger([Hourly()], jitter=5), "the jitter of AndTrigger is another on each replica"),
        (DateTrigger(), "DateTrigger without run_date= fires when each process starts; use at(…)"),
        (hostile(lambda previous, now: "soon"), "says 'soon', which is no datetime with a time zone"),
        (hostile(lambda previous, now: datetime(2027, 1, 1)), "says datetime.datetime(2027, 1, 1, 0, 0), which is no"),
        (hostile(lambda previous, now: 1 // 0), "failed: ZeroDivisionError: integer division or modulo by zero"),
        (hostile(lambda previous, now: BEGIN), "goes from 2026-11-01T12:00:00+00:00 to 2026-11-01T12:00:00+00:00"),
        (hostile(lambda previous, now: now + HOUR), "its times must not depend on when it is asked"),
        (hostile(lambda previous, now: (previous or now) + HOUR), "its times must not depend on when it is asked"),
        (
            hostile(lambda previous, now: now + HOUR * (1 + random.random())),
            "its times must not depend on when it is asked, or on what it said before",
        ),
    ],
)
def test_what_could_not_work_is_refused(of: Any, problem: str) -> None:
    text = refusal(of)

    assert text.startswith("periodic 'nightly': ")
    assert problem in text


def test_a_calendar_interval_that_each_process_counts_from_its_own_day_is_refused() -> None:
    with another_process():
        text = refusal(CalendarIntervalTrigger(days=2, timezone="UTC"))
        explicit = CalendarIntervalTrigger(days=2, timezone="UTC", start_date="2026-09-30")
        assert times(explicit, 1, datetime(2026, 10, 1, tzinfo=UTC)) == [datetime(2026, 10, 2, tzinfo=UTC)]

    assert "CalendarIntervalTrigger starts today, as it also does without start_date=" in text


def test_a_trigger_whose_state_names_no_values_is_refused() -> None:
    opaque = Hourly()
    opaque.holder = object()

    assert "give what it holds a __repr__ that tells its values" in refusal(opaque)


def test_its_text_has_its_class_and_its_state() -> None:
    assert trigger(Hourly()).trigger.text.endswith("test_foreign.Hourly({'minute': 30})")
    assert len({trigger(IntervalTrigger(hours=hours, start_date=BEGIN)).trigger.text for hours in (1, 2)}) == 2


def test_one_that_fails_later_fails_alone_and_can_be_asked_again() -> None:
    def answer(previous: datetime | None, now: datetime) -> datetime:
        if now > BEGIN + HOUR:
            raise RuntimeError("no more")
        return BEGIN + HOUR

    failing = Foreign(hostile(answer), "failing")
    found = failing.after(BEGIN)

    assert next(found) == BEGIN + HOUR
    with pytest.raises(TriggerError, match="failing failed: RuntimeError: no more"):
        next(found)
    assert next(failing.after(BEGIN)) == BEGIN + HOUR
