"""What a schedule can be told to do with times that clocks leave out, or show twice."""

from __future__ import annotations

import pytest

from periodic import cron
from periodic.triggers.cron import Cron
from tests.unit.periodic.clock import fired, previewed

NEW_YORK = "America/New_York"
FORWARD = ("2026-03-08T00:00-05:00", "2026-03-09T00:00-04:00")
BACK = ("2026-11-01T00:00-04:00", "2026-11-02T00:00-05:00")


def policies(expr: str) -> tuple[str, str]:
    trigger = cron(expr).trigger
    assert isinstance(trigger, Cron)
    return trigger.gap, trigger.repeat


def test_a_time_in_the_gap_can_be_skipped() -> None:
    assert fired("30 2 * * *", NEW_YORK, *FORWARD, gap="skip") == []


def test_several_times_in_one_gap_fire_once_at_its_end() -> None:
    assert fired("0,20,40 2 * * *", NEW_YORK, *FORWARD) == ["03-08 03:00-04:00"]
    assert fired("10 2-4 * * *", NEW_YORK, *FORWARD) == ["03-08 03:00-04:00", "03-08 03:10-04:00", "03-08 04:10-04:00"]


@pytest.mark.parametrize(
    ("repeat", "times"),
    [
        ("first", ["11-01 01:30-04:00"]),
        ("last", ["11-01 01:30-05:00"]),
        ("both", ["11-01 01:30-04:00", "11-01 01:30-05:00"]),
    ],
)
def test_a_repeated_time_fires_the_first_time_the_last_or_both(repeat: str, times: list[str]) -> None:
    assert fired("30 1 * * *", NEW_YORK, *BACK, repeat=repeat) == times


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("30 2 * * *", ("end", "first")),
        ("0 2,3 * * *", ("end", "first")),
        ("H H * * *", ("end", "first")),
        ("*/10 30 2 * * *", ("end", "first")),
        ("* * * * *", ("skip", "both")),
        ("*/15 * * * *", ("skip", "both")),
        ("7 * * * *", ("skip", "both")),
        ("0 0-23 * * *", ("skip", "both")),
        ("H/15 * * * *", ("skip", "both")),
        ("0 */15 * * * *", ("skip", "both")),
        ("@hourly", ("skip", "both")),
        ("@daily", ("end", "first")),
        ("*/15 2 * * *", ("end", "both")),
        ("H/15 2 * * *", ("end", "both")),
        ("H(0-29)/15 2 * * *", ("end", "both")),
        ("0 */2 * * *", ("end", "both")),
        ("H(0-29) 2 * * *", ("end", "first")),
    ],
)
def test_intervals_run_through_and_times_of_day_fire_once_a_day(expr: str, expected: tuple[str, str]) -> None:
    assert policies(expr) == expected


def test_the_first_minute_of_a_repeated_hour_is_repeated_and_the_minute_after_it_is_not() -> None:
    assert fired("0 1,2 * * *", NEW_YORK, *BACK, repeat="last") == ["11-01 01:00-05:00", "11-01 02:00-05:00"]
    assert fired("0 1,2 * * *", NEW_YORK, *BACK) == ["11-01 01:00-04:00", "11-01 02:00-05:00"]


def test_a_policy_that_is_given_holds_for_an_interval_too() -> None:
    times = fired("*/30 * * * *", NEW_YORK, "2026-11-01T01:00-04:00", "2026-11-01T02:30-05:00", repeat="first")

    assert times == ["11-01 01:00-04:00", "11-01 01:30-04:00", "11-01 02:00-05:00"]


def test_an_hourly_schedule_gains_nothing_at_the_end_of_a_gap() -> None:
    times = fired("10 * * * *", NEW_YORK, "2026-03-08T01:00-05:00", "2026-03-08T04:30-04:00")

    assert times == ["03-08 01:10-05:00", "03-08 03:10-04:00", "03-08 04:10-04:00"]


def test_an_interval_of_hours_loses_nothing_in_a_gap() -> None:
    assert fired("0 */12 * * *", "Africa/Cairo", "2026-04-23T12:00+02:00", "2026-04-24T13:00+03:00") == [
        "04-23 12:00+02:00",
        "04-24 01:00+03:00",
        "04-24 12:00+03:00",
    ]


def test_a_whole_day_that_a_zone_leaves_out_fires_at_its_end() -> None:
    # Samoa went from 29 to 31 December 2011.
    times = fired("0 9 * * *", "Pacific/Apia", "2011-12-29T00:00-10:00", "2012-01-01T00:00+14:00")

    assert times == ["12-29 09:00-10:00", "12-31 00:00+14:00", "12-31 09:00+14:00"]


def test_an_hour_that_is_repeated_across_midnight_is_repeated_on_both_days() -> None:
    # St. John's went from 0:01 on 29 October 2006 to 23:01 on the 28th.
    window = ("2006-10-28T12:00-02:30", "2006-10-29T12:00-03:30")

    assert fired("30 23 * * *", "America/St_Johns", *window) == ["10-28 23:30-02:30"]
    assert fired("0 0 * * *", "America/St_Johns", *window) == ["10-29 00:00-02:30"]
    assert fired("0 0 * * *", "America/St_Johns", *window, repeat="last") == ["10-29 00:00-03:30"]
    assert fired("0 23 * * *", "America/St_Johns", *window) == ["10-28 23:00-02:30"]


def test_a_zone_that_gives_up_summer_time_for_a_month_is_followed_both_ways() -> None:
    # Morocco in 2026, for Ramadan: from 3:00 to 2:00 on 15 February, from 2:00 to 3:00 on 22 March.
    zone = "Africa/Casablanca"

    assert fired("30 2 * * *", zone, "2026-02-15T00:00+01:00", "2026-02-16T00:00+00:00") == ["02-15 02:30+01:00"]
    assert fired("30 2 * * *", zone, "2026-03-22T00:00+00:00", "2026-03-23T00:00+01:00") == ["03-22 03:00+01:00"]


def test_seconds_in_a_gap_fire_once_too() -> None:
    assert fired("*/10 30 2 * * *", NEW_YORK, *FORWARD) == ["03-08 03:00-04:00"]


def test_a_preview_says_what_the_change_of_the_clocks_did() -> None:
    assert previewed("30 2 * * *", NEW_YORK, *FORWARD) == [
        ("2026-03-08T03:00-04:00", True, "02:30:00 does not exist: moved to the end of the gap")
    ]
    assert previewed("30 2 * * *", NEW_YORK, *FORWARD, gap="skip") == [
        ("2026-03-08T03:00-04:00", False, "02:30:00 does not exist: skipped")
    ]
    assert previewed("0 2,3 * * *", NEW_YORK, *FORWARD) == [
        (
            "2026-03-08T03:00-04:00",
            False,
            "02:00:00 does not exist: moved to the end of the gap, where one fires already",
        ),
        ("2026-03-08T03:00-04:00", True, ""),
    ]
    assert previewed("30 1 * * *", NEW_YORK, *BACK) == [
        ("2026-11-01T01:30-04:00", True, "01:30:00 comes twice; this is the first"),
        ("2026-11-01T01:30-05:00", False, "01:30:00 comes twice; this is the second, and does not count"),
    ]
    assert previewed("30 1 * * *", NEW_YORK, *BACK, repeat="last") == [
        ("2026-11-01T01:30-04:00", False, "01:30:00 comes twice; this is the first, and does not count"),
        ("2026-11-01T01:30-05:00", True, "01:30:00 comes twice; this is the second"),
    ]
