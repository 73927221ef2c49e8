from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import time_machine

from actors.testing import Clock

NINE = datetime(2026, 1, 1, 9, tzinfo=UTC)


@time_machine.travel(NINE)
def test_a_clock_starts_at_the_real_time_and_stands_still() -> None:
    clock = Clock()

    with time_machine.travel(NINE + timedelta(hours=1), tick=False):
        assert NINE <= clock.now() < NINE + timedelta(seconds=10)


def test_a_clock_moves_by_a_duration() -> None:
    clock = Clock()
    start = clock.now()

    clock.advance(timedelta(minutes=5))
    clock.advance(timedelta(seconds=1))

    assert clock.now() - start == timedelta(minutes=5, seconds=1)


def test_a_clock_moves_to_an_instant_and_tells_it_in_utc() -> None:
    clock = Clock()

    clock.travel_to(datetime(2026, 1, 1, 17, tzinfo=timezone(timedelta(hours=8))))

    assert clock.now() == NINE
    assert clock.now().tzinfo is UTC


def test_p13_a_clock_is_not_set_to_a_naive_datetime() -> None:
    with pytest.raises(ValueError, match=r"^2026-01-01T09:00:00 has no time zone; use .replace\(tzinfo=UTC\)"):
        Clock().travel_to(datetime(2026, 1, 1, 9))
