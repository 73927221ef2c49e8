"""Which schedules an actor declares, and which there are in all."""

from __future__ import annotations

from typing import Any

import dramatiq
import pytest
from apscheduler.triggers.interval import IntervalTrigger
from dramatiq.brokers.stub import StubBroker

from periodic import ScheduleError, cron, every, schedules, trigger
from periodic.registry import declared

DAILY, HOURLY = cron("@daily"), every(hours=1)
SIX_HOURS = IntervalTrigger(hours=6)


def names(option: Any) -> list[str]:
    return [schedule.name for schedule in declared(option, "report")]


def refusal(option: Any) -> str:
    with pytest.raises(ScheduleError) as error:
        declared(option, "report")
    return str(error.value)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (DAILY, ["report"]),
        (cron("@daily", name="nightly"), ["nightly"]),
        (SIX_HOURS, ["report"]),
        ([DAILY], ["report"]),
        ((cron("@daily", name="nightly"), every(hours=1, name="hourly")), ["nightly", "hourly"]),
        ([cron("@daily", name="nightly"), trigger(SIX_HOURS, name="six")], ["nightly", "six"]),
        ({"nightly": DAILY, "six": SIX_HOURS}, ["nightly", "six"]),
        ({"nightly": cron("@daily", name="nightly")}, ["nightly"]),
        ([], []),
        ({}, []),
        (None, []),
    ],
)
def test_one_schedule_has_the_name_of_its_actor_and_several_have_their_own(option: Any, expected: list[str]) -> None:
    assert names(option) == expected


def test_a_schedule_knows_its_actor() -> None:
    assert [(each.actor, each.trigger) for each in declared({"nightly": HOURLY}, "report")] == [
        ("report", HOURLY.trigger)
    ]


def test_the_name_decides_where_h_is() -> None:
    one, other = declared({"one": cron("H H * * *"), "other": cron("H H * * *")}, "report")

    assert one.trigger != other.trigger or one.trigger.text == other.trigger.text
    assert one.trigger == cron("H H * * *").trigger.named("one")


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        (
            [DAILY, HOURLY],
            "actor 'report': periodic= has 2 schedules; give each a name, as in cron(…, name='…') or "
            "periodic={'…': cron(…), …}",
        ),
        ([cron("@daily", name="nightly"), SIX_HOURS], "actor 'report': periodic= has 2 schedules; give each a name"),
        (
            [cron("@daily", name="nightly"), every(hours=1, name="nightly")],
            "periodic 'nightly': the name is taken by a schedule of actor 'report'; give that of actor",
        ),
        (
            {"nightly": cron("@daily", name="daily")},
            "actor 'report': periodic= calls a schedule 'nightly' and name='daily'; remove one",
        ),
        ({"": DAILY}, "actor 'report': periodic: name='' must be a str that is not empty"),
        ({1: DAILY}, "actor 'report': periodic: name=1 must be a str that is not empty"),
        ("0 9 * * *", "periodic 'report': '0 9 * * *' is none of cron(), every(), at(), or a trigger of APScheduler's"),
        ({"nightly": 42}, "periodic 'nightly': 42 is none of cron(), every(), at(), or a trigger of APScheduler's"),
    ],
)
def test_what_could_not_work_is_refused(option: Any, problem: str) -> None:
    assert refusal(option).startswith(problem)


def test_the_name_of_an_actor_may_be_too_long_for_that_of_its_schedule() -> None:
    with pytest.raises(ScheduleError, match=r"'a+': periodic: name='a+' has 256 bytes in UTF-8, and may have 255$"):
        declared(DAILY, "a" * 256)
    assert [each.name for each in declared({"short": DAILY}, "a" * 256)] == ["short"]


def broker_of(**options: Any) -> StubBroker:
    """A broker whose actors have these schedules, as our decorator leaves them."""
    broker = StubBroker(middleware=[])
    for name, schedules_ in options.items():
        dramatiq.Actor(print, broker=broker, actor_name=name, queue_name="default", priority=0, options=schedules_)
    return broker


def test_the_schedules_of_a_broker_are_those_of_its_actors() -> None:
    report = declared({"nightly": DAILY, "hourly": HOURLY}, "report")
    clean = declared(DAILY, "clean")

    found = schedules(broker_of(report={"periodic": report}, clean={"periodic": clean}, other={}))

    assert found == {"nightly": report[0], "hourly": report[1], "clean": clean[0]}


def test_two_actors_can_not_share_the_name_of_a_schedule() -> None:
    broker = broker_of(
        report={"periodic": declared({"clean": DAILY}, "report")}, clean={"periodic": declared(DAILY, "clean")}
    )

    with pytest.raises(ScheduleError, match=r"periodic 'clean': the name is taken by a schedule of actor 'report'"):
        schedules(broker)
