"""The ticks of a schedule, its bounds, and its fingerprint."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from periodic import Schedule, Tick, cron, every
from periodic.triggers.trigger import Firing, Trigger

BEGIN = datetime(2026, 11, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def schedule(name: str = "nightly", actor: str = "report", **options: Any) -> Schedule:
    return every(MINUTE).schedule(name, actor, **options)


def ticks(of: Schedule, count: int, after: datetime = BEGIN) -> list[Tick]:
    return list(islice(of.ticks_after(after), count))


def test_ticks_are_later_than_the_moment() -> None:
    assert ticks(schedule(), 2) == [Tick("nightly", BEGIN + n * MINUTE, BEGIN + n * MINUTE) for n in (1, 2)]


def test_a_moment_may_be_of_any_zone_and_must_have_one() -> None:
    assert ticks(schedule(), 3, BEGIN.astimezone(ZoneInfo("Asia/Shanghai"))) == ticks(schedule(), 3)
    with pytest.raises(ValueError, match="schedule 'nightly': 2026-11-01T12:00:00 has no time zone"):
        ticks(schedule(), 1, BEGIN.replace(tzinfo=None))


def test_no_tick_is_before_the_start_nor_at_the_end() -> None:
    bounded = schedule(start=BEGIN + 3 * MINUTE, end=BEGIN + 5 * MINUTE)

    assert [tick.time for tick in ticks(bounded, 9)] == [BEGIN + 3 * MINUTE, BEGIN + 4 * MINUTE]


def test_a_tick_that_jitter_moves_past_the_end_is_still_due() -> None:
    bounded = schedule(end=BEGIN + 2 * MINUTE, jitter=50 * timedelta(seconds=1))
    last = ticks(bounded, 9)[-1]

    assert last.time == BEGIN + MINUTE
    assert ticks(bounded, 9, last.due - timedelta(microseconds=1)) == [last]


def test_a_tick_whose_time_is_over_and_that_is_not_due_yet_is_not_lost() -> None:
    jittery = schedule(jitter=MINUTE)
    first = ticks(jittery, 1)[0]

    assert first.time < first.due
    assert first in ticks(jittery, 2, first.time + (first.due - first.time) / 2)


def test_jitter_is_spread_over_its_length_and_over_names() -> None:
    shares = [tick.due - tick.time for tick in ticks(schedule(jitter=MINUTE / 2), 300)]

    assert min(shares) < MINUTE / 20
    assert MINUTE / 2 - MINUTE / 20 < max(shares) < MINUTE / 2
    assert ticks(schedule("other", jitter=MINUTE), 1)[0].due != ticks(schedule(jitter=MINUTE), 1)[0].due


def test_jitter_is_fixed_for_ever() -> None:
    # Another share would move a tick across the watermark in an upgrade: lost, or run twice.
    assert [tick.due for tick in ticks(schedule(jitter=MINUTE), 1)] == [
        datetime.fromisoformat("2026-11-01T12:00:05.944582+00:00")
    ]


def test_a_schedule_that_is_over_has_no_ticks() -> None:
    assert ticks(schedule(end=BEGIN), 1) == []


def test_a_trigger_is_asked_for_no_more_than_is_taken() -> None:
    class Rare(Trigger):
        text = "rare"

        def firings(self, after: datetime) -> Iterator[Firing]:
            yield Firing(BEGIN + MINUTE)
            pytest.fail("the next one may take long to find")

    found = Schedule(name="rare", actor="report", trigger=Rare()).ticks_after(BEGIN)

    assert next(found).time == BEGIN + MINUTE


def test_a_moment_that_a_tick_is_due_at_is_past_that_tick() -> None:
    jittery = schedule(jitter=MINUTE)
    first, second = ticks(jittery, 2)

    assert ticks(jittery, 1, first.due) == [second]


def test_jitter_longer_than_the_interval_keeps_the_order() -> None:
    found = ticks(schedule(jitter=timedelta(hours=1)), 100)

    assert all(tick.time <= tick.due < following.time for tick, following in pairwise(found))


def test_the_same_declaration_has_the_same_fingerprint() -> None:
    options: dict[str, Any] = {"args": (1, "a"), "kwargs": {"b": [1], "a": None}, "jitter": MINUTE, "start": BEGIN}

    assert schedule(**options).fingerprint == schedule(**options).fingerprint
    assert schedule(kwargs={"a": 1, "b": 2}).fingerprint == schedule(kwargs={"b": 2, "a": 1}).fingerprint
    assert len(schedule().fingerprint) == 32


@pytest.mark.parametrize(
    "changed",
    [
        schedule(name="other"),
        schedule(actor="other"),
        every(2 * MINUTE).schedule("nightly", "report"),
        cron("* * * * *").schedule("nightly", "report"),
        schedule(args=(1,)),
        schedule(kwargs={"a": 1}),
        schedule(queue="slow"),
        schedule(priority=1),
        schedule(jitter=MINUTE),
        schedule(catch_up=MINUTE * 2),
        schedule(coalesce=False),
        schedule(cap=1),
        schedule(overlap="skip"),
        schedule(start=BEGIN),
        schedule(end=BEGIN),
    ],
)
def test_a_fingerprint_changes_with_all_that_decides_what_is_enqueued(changed: Schedule) -> None:
    assert changed.fingerprint != schedule().fingerprint


def test_a_fingerprint_is_the_same_in_each_process() -> None:
    # Another one would take every schedule for a new one in an upgrade.
    assert (
        cron("0 9 * * 1-5", timezone="Asia/Shanghai").schedule("nightly", "report").fingerprint
        == "9b6d260c06fa56c43bd34f2ae8bd66df"
    )
