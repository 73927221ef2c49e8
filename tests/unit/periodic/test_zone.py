"""The stretches of time in which a zone's clocks are not changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest

from periodic.zone import Stretch, stretches

HOUR = timedelta(hours=1)


def first(zone: str, moment: datetime, count: int = 1) -> list[Stretch]:
    return list(islice(stretches(ZoneInfo(zone), moment), count))


def test_a_stretch_ends_in_the_second_in_which_the_clocks_are_changed() -> None:
    winter, summer = first("Europe/Berlin", datetime(2026, 1, 1, tzinfo=UTC), 2)

    assert winter == Stretch(
        begin=datetime(2025, 10, 26, 1, tzinfo=UTC),
        end=datetime(2026, 3, 29, 1, tzinfo=UTC),
        offset=HOUR,
        change_before=-HOUR,
        change_after=HOUR,
    )
    assert summer == Stretch(winter.end, datetime(2026, 10, 25, 1, tzinfo=UTC), 2 * HOUR, HOUR, -HOUR)


@pytest.mark.parametrize("moment", [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)])
def test_a_stretch_holds_its_first_moment_and_not_its_end(moment: datetime) -> None:
    assert first("Europe/Berlin", moment)[0].begin == datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_a_whole_day_that_is_left_out_is_a_change_like_any_other() -> None:
    # The Line Islands of Kiribati had no 31 December 1994.
    before, after = first("Pacific/Kiritimati", datetime(1994, 12, 1, tzinfo=UTC), 2)

    assert before.end == after.begin == datetime(1994, 12, 31, 10, tzinfo=UTC)
    assert before.change_after == after.change_before == 24 * HOUR


def test_a_change_in_the_first_hours_of_a_year_is_known_in_the_last_of_the_year_before() -> None:
    # Singapore went half an hour forward at midnight of its 1 January 1982.
    for moment in (datetime(1981, 12, 31, 15, tzinfo=UTC), datetime(1982, 1, 1, tzinfo=UTC)):
        changes = [(each.begin, each.change_before) for each in first("Asia/Singapore", moment, 2)]
        assert (datetime(1981, 12, 31, 16, tzinfo=UTC), HOUR / 2) in changes


def test_a_zone_whose_clocks_are_never_changed_has_stretches_too() -> None:
    found = first("UTC", datetime(2026, 11, 1, tzinfo=UTC), 5)

    assert all(earlier.end == later.begin for earlier, later in pairwise(found))
    assert {(each.offset, each.change_before, each.change_after) for each in found} == {(timedelta(),) * 3}


def test_a_change_by_seconds_is_found() -> None:
    # Liberia was 44 minutes and 30 seconds behind until 7 January 1972.
    stretch = first("Africa/Monrovia", datetime(1972, 1, 1, tzinfo=UTC))[0]

    assert (stretch.end, stretch.change_after) == (
        datetime(1972, 1, 7, 0, 44, 30, tzinfo=UTC),
        timedelta(minutes=44, seconds=30),
    )


def test_two_changes_in_one_year_half_a_month_apart_are_both_found() -> None:
    # Cairo in 2014: for Ramadan back on 26 June, forward again on 31 July.
    ends = [each.end.date().isoformat() for each in first("Africa/Cairo", datetime(2014, 6, 1, tzinfo=UTC), 3)]

    assert ends == ["2014-06-26", "2014-07-31", "2014-09-25"]
