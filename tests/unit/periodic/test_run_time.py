"""Schedules that operators make: from JSON, and back out of the roster."""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from periodic import ScheduleError, at, cron, every
from periodic.roster import Roster, timing_of
from periodic.run_time import ADDED, changed, definitions, run_time_schedule, with_run_time_schedules
from periodic.schedule import Schedule
from periodic.takeover import Replica
from tests.unit.periodic.moments import MIDNIGHT, each

NINE = datetime(2030, 1, 1, 9, tzinfo=UTC)


def roster_with(**added: dict[str, Any]) -> Roster:
    return Roster(more={ADDED: added})


@pytest.mark.parametrize(
    ("definition", "schedule"),
    [
        (
            {"cron": "30 2 * * *", "timezone": "Europe/Berlin", "gap": "skip", "repeat": "last"},
            cron("30 2 * * *", timezone="Europe/Berlin", gap="skip", repeat="last"),
        ),
        ({"every": 1_500}, every(seconds=1.5)),
        ({"at": ["2030-01-01T17:00:00+08:00"]}, at(NINE)),
        (
            {
                "every": 60_000,
                "args": [1],
                "kwargs": {"a": 2},
                "queue": "reports",
                "priority": 3,
                "jitter": 500,
                "catch_up": 0,
                "coalesce": False,
                "cap": 7,
                "overlap": "skip",
                "start": "2030-01-01T09:00:00+00:00",
                "end": "2030-01-02T09:00:00+00:00",
            },
            every(
                minutes=1,
                args=[1],
                kwargs={"a": 2},
                queue="reports",
                priority=3,
                jitter=500,
                catch_up=0,
                coalesce=False,
                cap=7,
                overlap="skip",
                start=NINE,
                end=NINE + timedelta(days=1),
            ),
        ),
    ],
    ids=["cron", "every", "at", "options"],
)
def test_a_definition_says_what_a_declaration_does(definition: dict[str, Any], schedule: Any) -> None:
    assert run_time_schedule("s", {"actor": "job", **definition}) == schedule.schedule("s", "job")


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        ({"every": 1_000}, "periodic 's': it must name an actor"),
        ({"actor": "job"}, "periodic 's': it must have one of cron, every and at, not none"),
        ({"actor": "job", "every": 1_000, "cron": "* * * * *"}, "must have one of .* not cron and every"),
        ({"actor": "job", "every": 1_000, "timezone": "UTC"}, "periodic 's': timezone belongs to cron, not to every"),
        ({"actor": "job", "cron": "0 25 * * *"}, "periodic 's': '0 25 .* hour 25 is out of range"),
        ({"actor": "job", "every": "soon"}, "periodic 's': every='soon' must be a number of milliseconds"),
        ({"actor": "job", "every": 1e30}, "periodic 's': every=1e.30 must be a number of milliseconds"),
        ({"actor": "job", "at": "2030-01-01T09:00:00Z"}, "periodic 's': at=.* must be a list of times"),
        ({"actor": "job", "at": ["nine"]}, "periodic 's': 'nine' is no ISO 8601 time"),
        ({"actor": "job", "at": ["2030-01-01T09:00:00"]}, "periodic 's': .* has no time zone"),
        ({"actor": "job", "every": 1_000, "start": 5}, "periodic 's': 5 is no ISO 8601 time"),
        ({"actor": "job", "every": 1_000, "overlp": "skip"}, "unknown option 'overlp', did you mean 'overlap'"),
        ({"actor": "job", "every": 1_000, "name": "t"}, "periodic 's': unknown option 'name'"),
        ({"actor": "job", "every": 1_000, "cap": -1}, "periodic 's': cap=-1 must be an int"),
    ],
)
def test_a_definition_that_could_not_work_is_refused_with_the_name_and_the_reason(
    definition: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ScheduleError, match=problem):
        run_time_schedule("s", definition)


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(ScheduleError, match="has 256 bytes in UTF-8, and may have 255"):
        run_time_schedule("s" * 256, {"actor": "job", "every": 1_000})


def test_a_change_keeps_what_it_does_not_name() -> None:
    old = {"actor": "job", "cron": "0 9 * * *", "timezone": "Asia/Tokyo", "args": [1]}
    assert changed(old, {"args": [2]}) == {**old, "args": [2]}
    assert changed(old, {"cron": "0 8 * * *"}) == {**old, "cron": "0 8 * * *"}


def test_another_kind_of_timing_takes_the_place_of_the_old_with_all_that_belongs_to_it() -> None:
    old = {"actor": "job", "cron": "0 9 * * *", "timezone": "Asia/Tokyo", "gap": "skip", "args": [1]}
    assert changed(old, {"every": 1_000}) == {"actor": "job", "args": [1], "every": 1_000}
    assert changed({"actor": "job", "every": 1_000}, {"cron": "0 9 * * *"}) == {"actor": "job", "cron": "0 9 * * *"}


def test_a_replica_leads_with_the_schedules_of_its_code_and_of_the_roster() -> None:
    roster = roster_with(extra={"actor": "job", "every": 1_000})
    joined = with_run_time_schedules(Replica("r", MIDNIGHT, {"a": each(5)}), roster)

    assert dict(joined.schedules) == {"a": each(5), "extra": each(1, "extra")}
    assert dict(joined.timings) == {"a": timing_of(each(5)), "extra": timing_of(each(1, "extra"))}
    assert joined.added == {"extra"}


def test_without_any_the_replica_is_the_same() -> None:
    replica = Replica("r", MIDNIGHT, {"a": each(5)})
    assert with_run_time_schedules(replica, None) is replica
    assert with_run_time_schedules(replica, Roster()) is replica


def test_the_code_goes_before_what_was_added_under_the_same_name(caplog: pytest.LogCaptureFixture) -> None:
    roster = roster_with(a={"actor": "job", "every": 1_000})
    joined = with_run_time_schedules(Replica("r", MIDNIGHT, {"a": each(5)}), roster)

    assert dict(joined.schedules) == {"a": each(5)}
    assert "declared in the code" in caplog.text


def test_one_that_the_code_can_not_run_is_left_out_and_the_others_are_not(caplog: pytest.LogCaptureFixture) -> None:
    def accept(schedule: Schedule) -> Schedule:
        if schedule.actor == "gone":
            raise ScheduleError("no actor 'gone'")
        return replace(schedule, args=(1,))

    added = {
        "a": {"actor": "gone", "every": 1_000},
        "b": {"actor": "job", "every": 0},
        "c": {"actor": "job", "every": 9},
    }
    with caplog.at_level(logging.ERROR):
        joined = with_run_time_schedules(Replica("r", MIDNIGHT, {}, accept=accept), roster_with(**added))

    assert [(each.name, each.args) for each in joined.schedules.values()] == [("c", (1,))]
    assert "no actor 'gone'" in caplog.text
    assert "periodic 'b'" in caplog.text


def test_definitions_survive_what_the_roster_is_written_as() -> None:
    roster = roster_with(extra={"actor": "job", "every": 1_000})
    assert definitions(Roster.decode(roster.encode())) == {"extra": {"actor": "job", "every": 1_000}}
    assert definitions(Roster(more={ADDED: "nonsense"})) == {}
