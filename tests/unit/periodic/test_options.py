"""The options of a schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from periodic import Schedule, ScheduleError, at, cron, every

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def refusal(**options: Any) -> str:
    with pytest.raises(ScheduleError) as error:
        cron("0 9 * * *", **options)
    return str(error.value)


def declared(**options: Any) -> Schedule:
    return cron("0 9 * * *", **options).schedule("nightly", "report")


def test_a_schedule_without_options_has_the_defaults() -> None:
    assert declared() == Schedule(
        name="nightly",
        actor="report",
        trigger=declared().trigger,
        args=(),
        kwargs={},
        queue=None,
        priority=None,
        jitter=timedelta(),
        catch_up=timedelta(seconds=60),
        coalesce=True,
        cap=100,
        overlap="allow",
        start=None,
        end=None,
    )


def test_durations_may_be_milliseconds() -> None:
    assert declared(jitter=1_500).jitter == declared(jitter=timedelta(seconds=1.5)).jitter == timedelta(seconds=1.5)
    assert declared(catch_up=0).catch_up == timedelta()


def test_moments_are_kept_in_utc() -> None:
    start = declared(start=NOON.astimezone(ZoneInfo("Asia/Shanghai"))).start

    assert start == NOON
    assert start.tzinfo is UTC


def test_arguments_are_kept_apart_from_what_was_given() -> None:
    args, kwargs = [1], {"a": 1}
    schedule = declared(args=args, kwargs=kwargs)
    args.append(2)
    kwargs["b"] = 2

    assert (schedule.args, schedule.kwargs) == ((1,), {"a": 1})


def test_each_kind_of_schedule_takes_the_same_options() -> None:
    specs = cron("* * * * *", overlap="skip"), every(hours=1, overlap="queue_one"), at(NOON, overlap="allow")

    assert [spec.schedule("nightly", "report").overlap for spec in specs] == ["skip", "queue_one", "allow"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"jiter": 1}, "unknown option 'jiter', did you mean 'jitter'?"),
        ({"name": ""}, "name='' must be a str that is not empty"),
        ({"name": "é" * 127 + "xy"}, f"name={'é' * 127 + 'xy'!r} has 256 bytes in UTF-8, and may have 255"),
        ({"name": "\udcff"}, "name='\\udcff' can't be written as UTF-8"),
        ({"args": "abc"}, "args='abc' must be a tuple or a list"),
        ({"args": 1}, "args=1 must be a tuple or a list"),
        ({"kwargs": [1]}, "kwargs=[1] must be a dict with str keys"),
        ({"kwargs": {1: 1}}, "kwargs={1: 1} must be a dict with str keys"),
        ({"queue": ""}, "queue='' must be a str that is not empty"),
        ({"priority": 256}, "priority=256 must be an int from 0 to 255"),
        ({"priority": True}, "priority=True must be an int from 0 to 255"),
        ({"jitter": -1}, "jitter=-1 must be an int of milliseconds, or a timedelta, from 0 to 1 days"),
        ({"jitter": 1.5}, "jitter=1.5 must be an int of milliseconds, or a timedelta, from 0 to 1 days"),
        ({"jitter": True}, "jitter=True must be an int of milliseconds, or a timedelta, from 0 to 1 days"),
        ({"jitter": 10**30}, f"jitter={10**30} must be an int of milliseconds, or a timedelta, from 0 to 1 days"),
        (
            {"catch_up": timedelta(days=367)},
            "catch_up=datetime.timedelta(days=367) must be an int of milliseconds, or a timedelta, from 0 to 366 days",
        ),
        ({"coalesce": 1}, "coalesce=1 must be True or False"),
        ({"cap": -1}, "cap=-1 must be an int from 0 to 10,000"),
        ({"overlap": "skp"}, "overlap='skp' must be 'allow', 'skip' or 'queue_one', did you mean 'skip'?"),
        ({"overlap": None}, "overlap=None must be 'allow', 'skip' or 'queue_one'"),
        (
            {"start": datetime(2026, 1, 1)},
            "start=datetime.datetime(2026, 1, 1, 0, 0) has no time zone; use datetime(…, tzinfo=UTC), "
            "or .replace(tzinfo=ZoneInfo('…'))",
        ),
        ({"end": "2026-01-01"}, "end='2026-01-01' must be a datetime with a time zone"),
        (
            {"start": NOON, "end": NOON},
            "start=2026-11-01T12:00:00+00:00 is not before end=2026-11-01T12:00:00+00:00",
        ),
    ],
)
def test_what_could_not_work_is_refused_where_it_is_declared(options: dict[str, Any], problem: str) -> None:
    who = f"periodic {options['name']!r}" if options.get("name") else "periodic"
    assert refusal(**options) == f"{who}: {problem}"


def test_a_name_may_have_255_bytes() -> None:
    assert cron("0 9 * * *", name="é" * 127 + "x").name == "é" * 127 + "x"


def test_the_name_is_told_if_there_is_one() -> None:
    assert refusal(name="nightly", cap=-1).startswith("periodic 'nightly': cap=-1")
