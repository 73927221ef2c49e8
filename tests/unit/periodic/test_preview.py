"""What a preview shows; of changes of clocks ``test_dst_policies`` tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from periodic import ScheduleError, Spec, cron, every
from periodic.preview import Line, preview

BEGIN = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def lines(spec: Spec, first: datetime, last: datetime, **options: Any) -> list[Line]:
    return list(preview(spec.schedule("nightly", "report", **options), first, last))


def test_it_shows_the_times_from_its_beginning_up_to_but_without_its_end() -> None:
    assert [line.local for line in lines(every(hours=1), BEGIN, BEGIN + 2 * HOUR)] == [BEGIN, BEGIN + HOUR]
    assert lines(every(hours=1), BEGIN, BEGIN) == []


def test_a_time_is_shown_on_the_clocks_of_its_zone() -> None:
    (line,) = lines(cron("0 9 * * *", timezone="Asia/Shanghai"), BEGIN, BEGIN + 24 * HOUR)

    assert line.local.isoformat() == "2026-11-22T09:00:00+08:00"
    assert line.tick is not None
    assert (line.tick.time, line.note) == (datetime(2026, 11, 22, 1, tzinfo=UTC), "")


def test_each_line_has_the_tick_of_its_time_wherever_jitter_moves_it() -> None:
    found = lines(every(hours=1), BEGIN, BEGIN + 5 * HOUR, jitter=HOUR)
    ticks = [line.tick for line in found if line.tick is not None]

    assert [tick.time for tick in ticks] == [line.local for line in found]
    assert all(tick.due > tick.time for tick in ticks)


def test_a_schedule_keeps_its_bounds() -> None:
    found = lines(every(hours=1), BEGIN, BEGIN + 5 * HOUR, start=BEGIN + 2 * HOUR, end=BEGIN + 4 * HOUR)

    assert [line.local for line in found] == [BEGIN + 2 * HOUR, BEGIN + 3 * HOUR]


def test_bounds_without_a_zone_are_refused() -> None:
    with pytest.raises(ScheduleError, match=r"periodic 'nightly': end=.* has no time zone"):
        lines(every(hours=1), BEGIN, datetime(2026, 12, 1))
