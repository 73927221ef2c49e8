"""A tick's identity and its place in the order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from periodic import Tick

TIME = datetime(2026, 11, 21, 9, tzinfo=UTC)


def tick(schedule: str = "nightly", time: datetime = TIME, due: datetime = TIME) -> Tick:
    return Tick(schedule, time, due)


def test_its_id_is_that_of_its_schedule_and_its_time() -> None:
    # Fixed for ever: another id would make each tick around an upgrade run twice.
    assert tick().id == "7228d6f6-415f-5291-a165-a7f51380b604"
    assert tick(time=TIME + timedelta(seconds=1)).id != tick().id
    assert tick(schedule="hourly").id != tick().id


def test_its_id_does_not_depend_on_when_it_is_due() -> None:
    assert tick(due=TIME + timedelta(seconds=30)).id == tick().id


def test_ticks_are_ordered_by_when_they_are_due_then_by_name() -> None:
    late = tick("a", due=TIME + timedelta(seconds=1))
    first, second = tick("a"), tick("b")

    assert sorted([late, second, first]) == [first, second, late]
    assert [each.order for each in (first, late)] == [(TIME, "a"), (TIME + timedelta(seconds=1), "a")]


def test_an_earlier_time_does_not_put_a_later_tick_first() -> None:
    moved = tick("a", time=TIME - timedelta(minutes=1), due=TIME + timedelta(minutes=1))

    assert sorted([moved, tick("b")]) == [tick("b"), moved]


def test_the_same_moment_on_other_clocks_is_the_same_tick() -> None:
    elsewhere = TIME.astimezone(timezone(timedelta(hours=8)))

    assert tick(time=elsewhere).id == tick().id
