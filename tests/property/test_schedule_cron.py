"""Cron expressions fire when somebody would say so who looks at the wall clock in each minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given, settings
from hypothesis import strategies as st

from periodic import cron
from tests.property.cron_oracle import DAY, Oracle, changes
from tests.property.cron_parts import daily_oracles, oracles

MICROSECOND = timedelta(microseconds=1)
GAPS = st.sampled_from([None, "end", "skip"])
REPEATS = st.sampled_from([None, "first", "last", "both"])
ZONES = st.sampled_from(sorted(available_timezones()))
# From 1975 on every zone is whole minutes from UTC, so that looking once a minute is enough.
YEARS = st.integers(1975, 2037)
MOMENTS = st.datetimes(datetime(1975, 1, 1), datetime(2037, 1, 1)).map(
    lambda moment: moment.replace(second=0, microsecond=0, tzinfo=UTC)
)


@cache
def changes_of(zone: str, year: int) -> tuple[datetime, ...]:
    return tuple(changes(ZoneInfo(zone), year))


def fired(text: str, zone: str, begin: datetime, end: datetime, **policies: Any) -> list[datetime]:
    given = {name: policy for name, policy in policies.items() if policy is not None}
    times = cron(text, timezone=zone, **given).trigger.after(begin - MICROSECOND)
    return list(takewhile(lambda time: time < end, times))


@st.composite
def changing(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone, and when its clocks are changed."""
    zone, year = draw(ZONES), draw(YEARS)
    if found := changes_of(zone, year):
        return zone, draw(st.sampled_from(found))
    # Where they are not, somewhere else.
    return "Europe/Berlin", draw(st.sampled_from(changes_of("Europe/Berlin", max(year, 1980))))


@settings(max_examples=300)
@given(oracle=daily_oracles(), change=changing(), gap=GAPS, repeat=REPEATS)
def test_around_a_change_of_the_clocks_it_fires_as_its_policies_say(
    oracle: Oracle, change: tuple[str, datetime], gap: Any, repeat: Any
) -> None:
    zone, begin = change[0], change[1] - DAY
    expected = oracle.times(
        ZoneInfo(zone), begin, begin + 2 * DAY, gap or oracle.default_gap, repeat or oracle.default_repeat
    )

    assert fired(oracle.text, zone, begin, begin + 2 * DAY, gap=gap, repeat=repeat) == expected


@settings(max_examples=200)
@given(oracle=oracles(), zone=ZONES, begin=MOMENTS)
def test_in_any_three_days_it_fires_as_the_wall_clock_says(oracle: Oracle, zone: str, begin: datetime) -> None:
    expected = oracle.times(ZoneInfo(zone), begin, begin + 3 * DAY, oracle.default_gap, oracle.default_repeat)

    assert fired(oracle.text, zone, begin, begin + 3 * DAY) == expected


@settings(max_examples=150)
@given(oracle=oracles(), begin=MOMENTS)
def test_over_four_years_it_fires_on_the_days_that_the_expression_means(oracle: Oracle, begin: datetime) -> None:
    first = begin.replace(hour=0, minute=0)
    days = [(first + number * DAY).date() for number in range(4 * 366)]
    at_noon = f"0 12 {oracle.day.text} {oracle.month.text} {oracle.weekday.text}"

    times = fired(at_noon, "UTC", first, first + len(days) * DAY)

    assert [time.date() for time in times] == [day for day in days if oracle.matches_day(day)]


@settings(max_examples=150)
@given(oracle=oracles(), zone=ZONES, begin=MOMENTS, data=st.data())
def test_what_it_says_does_not_depend_on_when_it_is_asked(
    oracle: Oracle, zone: str, begin: datetime, data: st.DataObject
) -> None:
    times = fired(oracle.text, zone, begin, begin + 5 * DAY)
    moment = begin + data.draw(st.timedeltas(timedelta(), 5 * DAY))

    assert fired(oracle.text, zone, moment, begin + 5 * DAY) == [time for time in times if time >= moment]
