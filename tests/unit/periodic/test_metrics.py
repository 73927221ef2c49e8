"""What a scheduler tells of itself in numbers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from periodic.fires import BUCKETS_S, Fires
from periodic.metrics import families
from periodic.status import Role, Status, Unconsumed
from tests.unit.periodic.moments import MIDNIGHT, after, each
from tests.unit.periodic.test_leader import Term


def told(status: Status) -> dict[str, float]:
    return {
        " ".join([sample.name, *(f"{name}={value}" for name, value in sample.labels.items() if value)]): sample.value
        for family in families(status, schedules=7, now_s=100.0)
        for sample in family.samples
    }


def test_ticks_that_are_out_are_counted_with_how_late_they_were() -> None:
    term = Term(each(10, "a"))
    term.run_until(25, a_turn_s=0.0)
    now = told(term.status)
    assert now["actors_scheduler_ticks_total outcome=enqueued"] == term.status.enqueued > 0
    assert now["actors_scheduler_lateness_seconds_count"] == term.status.enqueued
    assert now["actors_scheduler_lateness_seconds_bucket le=0.005"] == term.status.enqueued


def test_a_schedule_that_fails_is_counted_each_time() -> None:
    term = Term(each(10, "a"))
    term.broken.add("a")
    term.run_until(12)
    now = told(term.status)
    assert now["actors_scheduler_ticks_total outcome=failed"] >= 1
    assert now["actors_scheduler_ticks_total outcome=enqueued"] == term.status.enqueued


def test_missed_ticks_are_counted_by_why() -> None:
    term = Term(each(10, "a", catch_up=timedelta(seconds=10)))
    term.leader.take_turn(after(100))
    reasons = {name: value for name, value in told(term.status).items() if "outcome=missed" in name and value}
    assert reasons == {"actors_scheduler_ticks_total outcome=missed reason=coalesce": term.status.missed}


def test_a_bucket_has_what_is_at_its_end() -> None:
    fires = Fires()
    for late in (-1.0, 0.005, 0.006, 7_200.0):
        fires.enqueue(timedelta(seconds=late))
    assert (fires.late[0], fires.late[1], fires.late[-1], sum(fires.late)) == (2, 1, 1, fires.enqueued)
    assert len(fires.late) == len(BUCKETS_S)
    assert fires.late_s == 7_200.011


def test_a_role_counts_when_it_begins_and_not_while_it_lasts() -> None:
    status = Status("one")
    for role in (Role.STANDING_BY, Role.LEADING, Role.LEADING, Role.CONNECTING, Role.STANDING_BY, Role.LEADING):
        status.enter(role, MIDNIGHT)
    now = told(status)
    assert now["actors_scheduler_role_changes_total role=leading"] == 2
    assert now["actors_scheduler_role_changes_total role=standing_by"] == 2
    assert (now["actors_scheduler_is_leader"], now["actors_scheduler_schedules"]) == (1, 7)
    assert now["actors_scheduler_last_loop_timestamp_seconds"] == MIDNIGHT.timestamp()


def test_what_is_not_known_is_not_told() -> None:
    status: Any = Status("one")
    names = told(status)
    assert not [name for name in names if "skew" in name or "unconsumed" in name or "loop" in name]
    status.skew = timedelta(seconds=-90)
    status.unconsumed = {"q.quorum": Unconsumed("reports", 40.0, ("nightly",))}
    now = told(status)
    assert now["actors_scheduler_clock_skew_seconds"] == -90
    assert now["actors_scheduler_unconsumed_seconds queue=reports"] == 60
