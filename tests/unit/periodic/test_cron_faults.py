"""A cron expression that can't be meant is refused where it is declared, with the place of the fault."""

from __future__ import annotations

import sys
import zoneinfo
from datetime import UTC, datetime
from typing import Any

import pytest

from periodic import ScheduleError, cron


def refusal(expr: Any, **options: Any) -> str:
    with pytest.raises(ScheduleError) as error:
        cron(expr, **options)
    return str(error.value)


@pytest.mark.parametrize(
    ("expr", "problem"),
    [
        ("0 25 * * *", "hour 25 is out of range 0-23 (field 2, column 3)"),
        ("60 * * * *", "minute 60 is out of range 0-59 (field 1, column 1)"),
        ("* * 0 * *", "day-of-month 0 is out of range 1-31 (field 3, column 5)"),
        ("* * * 13 *", "month 13 is out of range 1-12 (field 4, column 7)"),
        ("* * * * 8", "day-of-week 8 is out of range 0-7 (field 5, column 9)"),
        ("61 * * * * *", "second 61 is out of range 0-59 (field 1, column 1)"),
        ("0 0 24 * * *", "hour 24 is out of range 0-23 (field 3, column 5)"),
        ("0,30,75 * * * *", "minute 75 is out of range 0-59 (field 1, column 6)"),
        ("0 9-25 * * *", "hour 25 is out of range 0-23 (field 2, column 5)"),
        ("0   25 * * *", "hour 25 is out of range 0-23 (field 2, column 5)"),
        ("\t0 25 * * *", "hour 25 is out of range 0-23 (field 2, column 4)"),
        ("*/90 * * * *", "minute step 90 is out of range 1-59 (field 1, column 3)"),
        ("*/0 * * * *", "minute step 0 is out of range 1-59 (field 1, column 3)"),
        ("*/ * * * *", "minute step nothing is out of range 1-59 (field 1, column 3)"),
        ("*/x * * * *", "minute step x is out of range 1-59 (field 1, column 3)"),
        ("1,,2 * * * *", "minute is missing a value (field 1, column 3)"),
        ("0 -5 * * *", "hour is missing a value (field 2, column 3)"),
        ("0 5- * * *", "hour is missing a value (field 2, column 5)"),
        ("0 22-2 * * *", "hour 22-2 runs backwards; write 22-23,0-2 (field 2, column 3)"),
        ("0 0 * * FRI-MON", "day-of-week FRI-MON runs backwards; write 5-7,0-1 (field 5, column 9)"),
        ("0 0 * DEC-JAN *", "month DEC-JAN runs backwards; write 12,1 (field 4, column 7)"),
        ("0 0 * JNA *", "month 'JNA' is no number or a name such as JAN, did you mean 'JUN'? (field 4, column 7)"),
        (
            "0 0 * * MOX",
            "day-of-week 'MOX' is no number or a name such as SUN, did you mean 'MON'? (field 5, column 9)",
        ),
        ("x * * * *", "minute 'x' is no number (field 1, column 1)"),
        ("٣ * * * *", "minute '٣' is no number (field 1, column 1)"),
        (f"{'9' * 5000} * * * *", f"minute {'9' * 5000!r} is no number (field 1, column 1)"),
        ("1.5 * * * *", "minute '1.5' is no number (field 1, column 1)"),
        ("0 0 ? * 1", "day-of-month '?' is of other crons; write * (field 3, column 5)"),
        ("0 0 * * 1#6", "day-of-week #6 is out of range #1-#5 (field 5, column 10)"),
        ("0 0 * * 9#1", "day-of-week 9 is out of range 0-7 (field 5, column 9)"),
        ("0 0 * * 9L", "day-of-week 9 is out of range 0-7 (field 5, column 9)"),
        ("0 0 L/2 * *", "day-of-month 'L' is no number (field 3, column 5)"),
        ("0 L * * *", "hour 'L' is no number (field 2, column 3)"),
        ("H(5 * * * *", "minute 'H(5' is neither H nor H(0-59) (field 1, column 1)"),
        ("H(0-75) * * * *", "minute 75 is out of range 0-59 (field 1, column 5)"),
        ("H(9-5) * * * *", "minute H(9-5) runs backwards (field 1, column 1)"),
        ("0,HH * * * *", "minute 'HH' is neither H nor H(0-59) (field 1, column 3)"),
        (
            "* * * *",
            "has 4 fields; give 5 (minute hour day-of-month month day-of-week), or 6 with seconds first (column 8)",
        ),
        ("", "has 0 fields; give 5 (minute hour day-of-month month day-of-week), or 6 with seconds first (column 1)"),
        (
            "0 0 1 1 * * 2027",
            "has 7 fields; give 5 (minute hour day-of-month month day-of-week), or 6 with seconds first "
            "(field 7, column 13)",
        ),
        (
            "CRON_TZ=UTC 0 0 0 1 1 *",
            "has 7 fields; give 5 (minute hour day-of-month month day-of-week), or 6 with seconds first; "
            "the zone goes to timezone= (field 7, column 23)",
        ),
        ("@dialy", "is not known (field 1, column 1), did you mean '@daily'?"),
        ("@every 5m", "is no cron expression (field 1, column 1); use every(minutes=…)"),
        ("@reboot", "no machine's start is a time that replicas share (field 1, column 1)"),
    ],
)
def test_the_text_says_what_is_wrong_and_where(expr: str, problem: str) -> None:
    assert refusal(expr) == f"periodic: {expr!r} — {problem}"


@pytest.mark.parametrize(
    ("expr", "place"),
    [
        ("0 0 30 2 *", "(field 3, column 5)"),
        ("0 0 31 2,4,6 *", "(field 3, column 5)"),
        ("0 0 0 31 FEB *", "(field 4, column 7)"),
        # A step of 30 is the 1st and the 31st, and the fifth Monday of a February the 29th.
        ("0 0 */30 2 1#5", "(field 3, column 5)"),
    ],
)
def test_one_that_would_never_fire_is_refused(expr: str, place: str) -> None:
    assert refusal(expr) == f"periodic: {expr!r} — never fires: no month that it names has such a day {place}"


def test_a_rare_one_is_not_taken_for_one_that_never_fires() -> None:
    # A February with five Mondays; 29 February; and one where the Monday will do as well as the 30th.
    rare = [cron("0 0 * 2 1#5"), cron("0 0 29 2 *"), cron("0 0 30 2 1")]
    years = [next(spec.trigger.after(datetime(2026, 1, 1, tzinfo=UTC))).year for spec in rare]

    assert years == [2044, 2028, 2026]


def test_the_name_is_told_if_the_declaration_gives_one() -> None:
    text = refusal("0 25 * * *", name="nightly")

    assert text == "periodic 'nightly': '0 25 * * *' — hour 25 is out of range 0-23 (field 2, column 3)"


def test_what_is_no_text_is_refused() -> None:
    assert refusal(42) == "periodic: 42 must be a str, such as '0 9 * * 1-5'"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"timezone": "Europe/Belrin"}, "timezone='Europe/Belrin' is no known zone, did you mean 'Europe/Berlin'?"),
        ({"timezone": "europe/berlin"}, "timezone='europe/berlin' is no known zone, did you mean 'Europe/Berlin'?"),
        ({"timezone": "America"}, "timezone='America' is no known zone"),
        ({"timezone": "../etc/passwd"}, "timezone='../etc/passwd' is no known zone"),
        ({"timezone": 2}, "timezone=2 must be the name of a zone, or a ZoneInfo that has one"),
        ({"gap": "ends"}, "gap='ends' must be 'end' or 'skip', did you mean 'end'?"),
        ({"repeat": "second"}, "repeat='second' must be 'first', 'last' or 'both'"),
        ({"repeat": True}, "repeat=True must be 'first', 'last' or 'both'"),
    ],
)
def test_a_zone_or_a_policy_that_there_is_not_is_refused(options: dict[str, Any], problem: str) -> None:
    assert refusal("0 2 * * *", **options).startswith(f"periodic: {problem}")


@pytest.mark.parametrize("timezone", ["UTC", UTC, "Europe/Berlin"])
def test_a_machine_without_zones_is_told_what_to_install(timezone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # With a cache of its own, which knows no zone yet.
    monkeypatch.setattr("periodic.zone.ZoneInfo", type("ZoneInfo", (zoneinfo.ZoneInfo,), {}))
    monkeypatch.setitem(sys.modules, "tzdata", None)
    zoneinfo.reset_tzpath(to=())
    try:
        text = refusal("0 2 * * *", timezone=timezone)
    finally:
        zoneinfo.reset_tzpath()
    assert text.startswith(
        f"periodic: timezone={str(timezone)!r} can't be looked up, since this machine has no time zone data"
    )
    assert text.endswith("install tzdata: apt-get install tzdata, apk add tzdata, or pip install tzdata")
