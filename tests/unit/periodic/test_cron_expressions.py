"""What a cron expression means; without changes of clocks, of which ``test_dst_*`` tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from periodic import Spec, cron
from periodic.triggers.fields import WEEKDAY, plain

# A Sunday.
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


def times(spec: Spec, count: int, name: str = "nightly", after: datetime = BEGIN) -> list[str]:
    trigger = spec.trigger.named(name)
    return [f"{time:%m-%d %H:%M:%S}" for time in islice(trigger.after(after - timedelta(microseconds=1)), count)]


def dates(expr: str, count: int) -> list[str]:
    return [time[:5] for time in times(cron(f"0 0 {expr}"), count)]


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("* * 0", ["11-01", "11-08"]),
        ("* * 7", ["11-01", "11-08"]),
        ("* * SUN", ["11-01", "11-08"]),
        ("* * mon-wed", ["11-02", "11-03", "11-04", "11-09"]),
        ("* * SAT-SUN", ["11-01", "11-07", "11-08", "11-14"]),
        ("* * 5-7", ["11-01", "11-06", "11-07", "11-08"]),
        ("* * 0-0", ["11-01", "11-08"]),
        ("13 * 5", ["11-06", "11-13", "11-20"]),
        ("*/10 * 0", ["11-01", "01-31"]),
        ("1,15 * */2", ["11-01", "11-15", "12-01", "12-15", "04-01"]),
        ("L * *", ["11-30", "12-31", "01-31", "02-28"]),
        ("LW * *", ["11-30", "12-31", "01-29", "02-26"]),
        ("* * 5L", ["11-27", "12-25"]),
        ("* * FRIL", ["11-27", "12-25"]),
        ("* * 1#2", ["11-09", "12-14"]),
        ("* * mon#2", ["11-09", "12-14"]),
        ("* JAN,mar *", ["01-01", "01-02"]),
        ("29 2 *", ["02-29", "02-29"]),
        ("10-10/5 * *", ["11-10", "12-10"]),
        ("25/3 * *", ["11-25", "11-28", "12-25", "12-28", "12-31"]),
    ],
)
def test_days_are_those_of_debian(expr: str, expected: list[str]) -> None:
    assert dates(expr, len(expected)) == expected


@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        ("@yearly", ["01-01 00:00:00", "01-01 00:00:00"]),
        ("@annually", ["01-01 00:00:00"]),
        ("@monthly", ["11-01 00:00:00", "12-01 00:00:00"]),
        ("@weekly", ["11-01 00:00:00", "11-08 00:00:00"]),
        ("@daily", ["11-01 00:00:00", "11-02 00:00:00"]),
        ("@Midnight", ["11-01 00:00:00", "11-02 00:00:00"]),
        (" @hourly ", ["11-01 00:00:00", "11-01 01:00:00"]),
    ],
)
def test_a_period_has_a_name(alias: str, expected: list[str]) -> None:
    assert times(cron(alias), len(expected)) == expected


def test_six_fields_begin_with_seconds() -> None:
    assert times(cron("*/20 30 9 * * *"), 4) == [
        "11-01 09:30:00",
        "11-01 09:30:20",
        "11-01 09:30:40",
        "11-02 09:30:00",
    ]


def test_a_time_is_that_of_its_zone() -> None:
    # New York was four hours behind UTC until 6 o'clock UTC on this day.
    assert times(cron("0 9 * * *", timezone="Asia/Shanghai"), 2) == ["11-01 01:00:00", "11-02 01:00:00"]
    assert times(cron("0 9 * * *", timezone=ZoneInfo("America/New_York")), 1) == ["11-01 14:00:00"]
    assert times(cron("0 9 * * *", timezone=UTC), 1) == ["11-01 09:00:00"]  # type: ignore[arg-type]


def test_every_time_is_in_utc() -> None:
    first = next(cron("0 9 * * *", timezone="Asia/Shanghai").trigger.after(BEGIN))

    assert first.tzinfo is UTC


def test_it_fires_later_than_the_moment_it_is_asked_about() -> None:
    trigger = cron("0 9 * * *").trigger
    nine = BEGIN + timedelta(hours=9)

    assert next(trigger.after(nine - timedelta(microseconds=1))) == nine
    assert next(trigger.after(nine)) == nine + timedelta(days=1)
    assert next(trigger.after(nine + timedelta(microseconds=1))) == nine + timedelta(days=1)


def test_later_hours_of_the_same_day_are_whole() -> None:
    asked = BEGIN + timedelta(hours=9, minutes=30, seconds=30)

    assert times(cron("0,45 9,10 * * *"), 3, after=asked) == ["11-01 09:45:00", "11-01 10:00:00", "11-01 10:45:00"]


def test_h_is_fixed_by_the_name_of_the_schedule_and_spreads_over_names() -> None:
    spec = cron("H H * * *")
    first = {name: times(spec, 1, name)[0] for name in map("report-{}".format, range(200))}

    assert times(spec, 2, "report-1") == [first["report-1"], first["report-1"].replace("11-01", "11-02")]
    assert len({time[6:8] for time in first.values()}) == 24
    assert len({time[9:11] for time in first.values()}) > 50


def test_h_of_each_field_is_its_own() -> None:
    different = [
        name for name in map(str, range(50)) if len({*times(cron("H H * * *"), 1, name)[0][6:].split(":")[:2]}) > 1
    ]

    assert len(different) > 40


@pytest.mark.parametrize(
    ("expr", "values", "where"),
    [
        ("H(10-14) * * * *", range(10, 15), slice(9, 11)),
        ("0 H(1-4) * * *", range(1, 5), slice(6, 8)),
        ("0 0 H * *", range(1, 29), slice(3, 5)),
    ],
)
def test_h_stays_within_its_range(expr: str, values: range, where: slice) -> None:
    found = {int(times(cron(expr), 1, str(number))[0][where]) for number in range(400)}

    assert found == set(values)


def test_h_takes_each_day_of_the_week_once() -> None:
    assert plain(WEEKDAY, "H", lambda field, size: size - 1) == "6"


def test_h_with_a_step_begins_where_the_name_says() -> None:
    starts = set()
    for number in range(200):
        minutes = [int(time[9:11]) for time in times(cron("H/15 * * * *"), 4, str(number))]
        starts.add(minutes[0])
        assert minutes == [minutes[0] + 15 * quarter for quarter in range(4)]

    assert starts == set(range(15))


def test_h_with_a_range_and_a_step_stays_within_it() -> None:
    for number in range(50):
        minutes = [int(time[9:11]) for time in times(cron("H(50-55)/5 1 * * *"), 1, str(number))]
        assert set(minutes) <= set(range(50, 56))


def test_h_is_not_touched_by_the_names_of_others() -> None:
    # Fixed for ever: another place would move every schedule that has an H.
    assert times(cron("H H * * *"), 1, "nightly") == ["11-01 16:25:00"]


def test_an_expression_without_h_is_the_same_for_each_name() -> None:
    trigger = cron("*/15 3 * * *").trigger

    assert trigger.named("a") is trigger


@pytest.mark.parametrize(
    "changed",
    [
        cron("1 2 * * *"),
        cron("0 2 * * *", timezone="Europe/Berlin"),
        cron("0 2 * * *", gap="skip"),
        cron("0 2 * * *", repeat="last"),
    ],
)
def test_its_text_tells_all_that_decides_when_it_fires(changed: Spec) -> None:
    assert changed.trigger.text != cron("0 2 * * *").trigger.text
    assert cron("0 2 * * *").trigger.text == "cron('0 2 * * *', UTC, gap=end, repeat=first)"
