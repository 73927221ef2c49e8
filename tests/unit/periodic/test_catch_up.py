from datetime import timedelta

import pytest

from periodic.catch_up import MOST_RECORDS, catch_up
from periodic.position import Position, ticks_behind
from periodic.schedule import Schedule
from periodic.tick import Tick
from tests.unit.periodic.moments import MIDNIGHT, after, at, each

TICK = Tick("a", after(10), after(10))


def test_with_coalesce_the_latest_of_the_late_ticks_is_kept() -> None:
    settled = catch_up(each(10), TICK, now=after(100))

    assert [tick.time for tick in settled.kept] == [after(30)]
    assert [missed.time for missed in settled.missed] == [after(10), after(20)]
    assert settled.resume == at(30)


def test_without_coalesce_as_many_as_the_cap_are_kept_the_latest_ones() -> None:
    settled = catch_up(each(10, coalesce=False, cap=2), TICK, now=after(110))

    assert [tick.time for tick in settled.kept] == [after(30), after(40)]
    assert [missed.time for missed in settled.missed] == [after(10), after(20)]


def test_fewer_than_the_cap_are_all_kept() -> None:
    settled = catch_up(each(10, coalesce=False, cap=9), TICK, now=after(100))

    assert [tick.time for tick in settled.kept] == [after(10), after(20), after(30)]
    assert not settled.missed


def test_fewer_than_a_large_cap_are_all_kept() -> None:
    settled = catch_up(each(1, coalesce=False, cap=2 * MOST_RECORDS), TICK, now=after(10 + 60 + 1.5 * MOST_RECORDS))

    assert len(settled.kept) == 1.5 * MOST_RECORDS
    assert not settled.missed


def test_with_a_cap_of_none_all_late_ticks_are_missed() -> None:
    settled = catch_up(each(10, coalesce=False, cap=0), TICK, now=after(100))

    assert not settled.kept
    assert [missed.time for missed in settled.missed] == [after(10), after(20), after(30)]
    assert settled.resume == at(30)


def test_what_is_not_late_by_more_than_catch_up_is_left_alone() -> None:
    settled = catch_up(each(10, catch_up=timedelta(seconds=30)), TICK, now=after(60))

    assert [tick.time for tick in settled.kept] == [after(20)]
    assert next(ticks_behind(each(10), settled.resume)).time == after(30)


def test_each_record_says_whose_tick_it_is_and_why_it_was_missed() -> None:
    first, second = catch_up(each(10), TICK, now=after(100)).missed

    assert (first.schedule, second.schedule) == ("a", "a")
    assert (first.until, second.until) == (None, None)
    assert first.reason == "it was 90 s late, with catch_up=60 s and coalesce enqueues the latest of such ticks"
    assert second.reason.startswith("it was 80 s late, ")


@pytest.mark.parametrize(
    ("cap", "rule"),
    [(0, "and cap=0 enqueues none of such ticks"), (1, "and cap=1 enqueues no more of such ticks")],
)
def test_a_reason_tells_fractions_of_a_second_and_the_rule(cap: int, rule: str) -> None:
    schedule = each(0.5, coalesce=False, cap=cap, catch_up=timedelta(milliseconds=1_500))
    settled = catch_up(schedule, Tick("a", after(10), after(10)), now=after(12.25))

    assert settled.missed[0].reason == f"it was 2.25 s late, with catch_up=1.5 s {rule}"


@pytest.mark.parametrize(
    "schedule",
    [
        each(1),
        each(1, coalesce=False, cap=0),
        each(1, coalesce=False, cap=7),
        each(1, coalesce=False, cap=MOST_RECORDS),
        each(1, coalesce=False, cap=2 * MOST_RECORDS),
    ],
)
def test_a_long_row_is_one_record_and_what_is_kept_is_the_same(schedule: Schedule) -> None:
    first, now = Tick("a", MIDNIGHT, MIDNIGHT), after(86_400 + 60)
    settled = catch_up(schedule, first, now)
    kept = 1 if schedule.coalesce else schedule.cap

    (missed,) = settled.missed
    assert missed.time == MIDNIGHT
    assert missed.until == after(86_399 - kept)
    assert missed.reason.startswith("they were up to 86,460 s late, with catch_up=60 s and c")
    assert [tick.time for tick in settled.kept] == [after(86_400 - kept + number) for number in range(kept)]
    assert settled.resume == Position.of(settled.kept[-1]) if kept else at(86_399)


@pytest.mark.timeout(10)
def test_years_of_ticks_are_not_walked_through() -> None:
    settled = catch_up(each(0.001), Tick("a", MIDNIGHT, MIDNIGHT), now=MIDNIGHT + timedelta(days=3_650))

    assert len(settled.kept) == len(settled.missed) == 1


def test_ticks_that_come_in_crowds_long_ago_are_found_all_the_same() -> None:
    ticks = [Tick("a", after(number), after(number)) for number in range(500)]

    class Crowd:
        name, coalesce, cap, catch_up = "a", True, 0, timedelta(seconds=60)

        def ticks_after(self, moment: object) -> object:
            return (tick for tick in ticks if tick.due > moment)  # type: ignore[operator]

    settled = catch_up(Crowd(), ticks[0], now=after(10_000_000))  # type: ignore[arg-type]

    assert settled.kept == [ticks[-1]]
