"""Intervals and single moments."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine

from periodic import ScheduleError, Spec, at, every

BEGIN = datetime(2026, 11, 1, 12, 34, 56, tzinfo=UTC)


def times(spec: Spec, count: int, after: datetime = BEGIN) -> list[datetime]:
    return list(islice(spec.trigger.after(after), count))


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(ScheduleError) as error:
        call()
    return str(error.value)


def test_an_interval_is_counted_from_1970() -> None:
    assert times(every(hours=6), 2) == [datetime(2026, 11, 1, 18, tzinfo=UTC), datetime(2026, 11, 2, 0, tzinfo=UTC)]
    assert times(every(timedelta(minutes=5)), 1) == [datetime(2026, 11, 1, 12, 35, tzinfo=UTC)]
    assert times(every(seconds=0.5), 1) == [BEGIN + timedelta(seconds=0.5)]


def test_an_interval_is_counted_from_its_start_if_it_has_one() -> None:
    start = datetime(2026, 10, 1, 0, 7, tzinfo=UTC)

    assert times(every(hours=6, start=start), 1) == [datetime(2026, 11, 1, 18, 7, tzinfo=UTC)]


def test_an_interval_does_not_depend_on_when_it_is_declared() -> None:
    with time_machine.travel(BEGIN):
        early = every(minutes=7)
    with time_machine.travel(BEGIN + timedelta(seconds=100)):
        late = every(minutes=7)

    assert early == late
    assert times(early, 3) == times(late, 3)


def test_an_interval_runs_through_changes_of_clocks() -> None:
    # New York's were put back at 6 o'clock UTC.
    found = times(every(hours=1), 12, datetime(2026, 11, 1, 0, tzinfo=UTC))

    assert [time.hour for time in found] == list(range(1, 13))


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda: every(), "every(datetime.timedelta(0)) must be a timedelta from 1 ms to 36,525 days"),
        (lambda: every(seconds=-1), "must be a timedelta from 1 ms to 36,525 days"),
        (lambda: every(timedelta(microseconds=1)), "must be a timedelta from 1 ms to 36,525 days"),
        (lambda: every(days=40_000), "must be a timedelta from 1 ms to 36,525 days"),
        (lambda: every(weeks=10**12), "every({'weeks': 1000000000000})"),
        (lambda: every(milliseconds=500), "unknown option 'milliseconds', did you mean 'seconds'?"),  # type: ignore[call-arg]
        (lambda: every(second=3), "unknown option 'second', did you mean 'seconds'?"),  # type: ignore[call-arg]
        (lambda: every(300), "every(300) must be a timedelta"),  # type: ignore[arg-type]
        (lambda: every(minutes="5"), "every({'minutes': '5'})"),  # type: ignore[arg-type]
        (lambda: every(timedelta(minutes=5), hours=1), "give every() a timedelta or hours=, not both"),
        (lambda: at(), "at() needs a moment, such as datetime(2030, 1, 1, 9, tzinfo=UTC)"),
        (
            lambda: at(datetime(2030, 1, 1)),
            "moment=datetime.datetime(2030, 1, 1, 0, 0) has no time zone; use datetime(…, tzinfo=UTC), "
            "or .replace(tzinfo=ZoneInfo('…'))",
        ),
        (lambda: at("2030-01-01"), "moment='2030-01-01' must be a datetime with a time zone"),  # type: ignore[arg-type]
    ],
)
def test_what_could_not_work_is_refused(call: Callable[[], Any], problem: str) -> None:
    text = refusal(call)

    assert text.startswith("periodic: ")
    assert problem in text


def test_moments_fire_in_their_order_each_once() -> None:
    late, early = BEGIN + timedelta(days=2), BEGIN + timedelta(days=1)

    assert times(at(late, early, late.astimezone(ZoneInfo("Asia/Shanghai"))), 5) == [early, late]


def test_moments_that_are_over_do_not_fire() -> None:
    assert times(at(BEGIN, BEGIN - timedelta(days=1)), 5) == []
    assert times(at(BEGIN), 5, BEGIN - timedelta(microseconds=1)) == [BEGIN]


def test_every_time_is_in_utc() -> None:
    moment = BEGIN.astimezone(ZoneInfo("Asia/Shanghai")) + timedelta(days=1)

    assert [time.tzinfo for time in times(at(moment), 1)] == [UTC]
    assert [time.tzinfo for time in times(every(hours=1, start=moment), 1)] == [UTC]


def test_their_texts_tell_all_that_decides_when_they_fire() -> None:
    texts = [
        spec.trigger.text
        for spec in (
            every(hours=1),
            every(hours=2),
            every(hours=1, start=BEGIN),
            at(BEGIN),
            at(BEGIN, BEGIN.max.replace(tzinfo=UTC)),
        )
    ]

    assert len(set(texts)) == len(texts)


def test_an_interval_ends_with_the_calendar() -> None:
    assert times(every(days=1), 5, datetime(9999, 12, 30, tzinfo=UTC)) == [datetime(9999, 12, 31, tzinfo=UTC)]
