"""Who follows gets each event once, and is told how many are missing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.fleet import Interest
from actors.fleet.following import LEASE_S, Filter, Following, decoded
from actors.fleet.memory import MemoryFleet
from tests.unit.actors.fleet.scene import Clock, report


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000.0)


@pytest.fixture
def fleet(clock: Clock) -> MemoryFleet:
    return MemoryFleet(lambda: int(clock.time_s * 1_000))


def event(member: str, number: int, **fields: Any) -> str:
    return json.dumps({"event": "attempt", "at": 5, "member": member, "number": number, **fields})


def told(following: Following) -> list[tuple[Any, ...]]:
    return [
        (each["event"], each["member"], each["count"] if each["event"] == "left_out" else each["number"])
        for each in following.look()
    ]


def test_what_was_before_is_not_followed(fleet: MemoryFleet, clock: Clock) -> None:
    fleet.publish([event("a", 1)])
    following = Following(fleet, clock)
    assert told(following) == []
    fleet.publish([event("a", 2)])
    assert told(following) == [("attempt", "a", 2)]


def test_what_is_missing_of_a_process_is_counted(fleet: MemoryFleet, clock: Clock) -> None:
    following = Following(fleet, clock)
    fleet.publish([event("a", 7), event("b", 1), event("a", 10), event("b", 2)])
    assert told(following) == [
        ("attempt", "a", 7),
        ("attempt", "b", 1),
        ("left_out", "a", 2),
        ("attempt", "a", 10),
        ("attempt", "b", 2),
    ]


def test_what_was_published_twice_is_told_once(fleet: MemoryFleet, clock: Clock) -> None:
    following = Following(fleet, clock)
    fleet.publish([event("a", 1), event("a", 2)] * 2)
    assert told(following) == [("attempt", "a", 1), ("attempt", "a", 2)]
    fleet.publish([event("a", 2), event("a", 3)])
    assert told(following) == [("attempt", "a", 3)]


def test_processes_publish_for_as_long_as_somebody_looks(fleet: MemoryFleet, clock: Clock) -> None:
    following = Following(fleet, clock)
    assert fleet.interest() == Interest()
    for _ in range(10):
        following.look()
        assert fleet.interest() == Interest(followed=True)
        clock.time_s += LEASE_S / 2
    clock.time_s += LEASE_S / 2
    assert fleet.interest() == Interest()


def test_how_many_publish_is_known_of_those_that_are_heard_of(fleet: MemoryFleet, clock: Clock) -> None:
    following = Following(fleet, clock)
    fleet.beat("silent", report().encode(), keep_ms=600_000)
    clock.time_s += 60
    fleet.beat("a", report(is_followed=True).encode(), keep_ms=600_000)
    fleet.beat("b", report().encode(), keep_ms=600_000)
    fleet.beat("c", "of another release", keep_ms=600_000)
    assert following.publishers() == (1, 2)


@pytest.mark.parametrize(
    ("wanted", "admitted"),
    [
        (Filter(), True),
        (Filter(actors=["charge"]), True),
        (Filter(actors=["refund"]), False),
        (Filter(actors=["refund", "charge"], outcomes=["done"]), True),
        (Filter(actors=["charge"], outcomes=["dead"]), False),
        (Filter(queues=["reports"]), False),
    ],
)
def test_each_part_of_a_filter_must_admit_an_event(wanted: Filter, admitted: bool) -> None:
    assert wanted.admits({"event": "attempt", "actor": "charge", "queue": "default", "outcome": "done"}) is admitted


def test_that_some_are_left_out_is_always_told() -> None:
    assert Filter(actors=["refund"]).admits({"event": "left_out", "count": 3})


def test_what_is_no_event_is_passed_over() -> None:
    assert decoded(["", "[]", "{}", '{"event": 1}', '{"event": "attempt"}']) == [{"event": "attempt"}]
