"""Pitfall 38: a schedule fires after its interval, and catches up with a flood; a backfill is nobody's decision."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from periodic import cron
from periodic.position import Position
from periodic.roster import Entry, Roster, timing_of
from periodic.schedule import Schedule
from periodic.watermark import Watermark
from services.deadline import until
from tests.integration.periodic.site import Site, now, schedule, wait_for_ticks

MINUTE = 60_000


@pytest.fixture
def site(broker_url: str, prefix: str) -> Iterator[Site]:
    site = Site(broker_url, prefix, "quorum")
    yield site
    site.close()


def stood_still(site: Site, *schedules: Schedule, hours: int) -> None:
    """Leave behind what a leader leaves that enqueued everything until so many hours ago."""
    then = now() - timedelta(hours=hours)
    entries = {each.name: Entry(timing_of(each), then) for each in schedules}
    site.begin_with(Watermark(Position.behind_all(then), then), Roster(entries))


def test_p38_cron_means_now(site: Site) -> None:
    """The tick of nine o'clock is enqueued at nine o'clock, not when the interval that begins then is over."""
    each_second = cron("* * * * * *").schedule("a", "job")
    with site.leading(each_second) as leader:
        wait_for_ticks(leader, 3)
        assert leader.status.lateness < timedelta(seconds=1)
        newest = site.enqueued()[-1].time
        assert now() - newest < timedelta(seconds=5)


def test_p38_after_hours_of_standstill_one_tick_is_enqueued_and_the_others_are_recorded(site: Site) -> None:
    each_minute = schedule("a", MINUTE, catch_up=0)
    stood_still(site, each_minute, hours=5)
    began = now()
    with site.leading(each_minute) as leader:
        until(lambda: leader.status.enqueued >= 1, seconds=20, what="the latest tick")
        until(lambda: leader.status.missed, seconds=10, what="the records")
        ticks = site.enqueued()
        missed = site.missed()
    assert len(ticks) <= 1 + (now() - began) // timedelta(minutes=1) + 1
    [row] = missed
    assert row.until is not None
    assert timedelta(hours=4, minutes=50) < row.until - row.time < timedelta(hours=5)


def test_p38_catching_up_is_bounded_when_it_is_asked_for(site: Site) -> None:
    each_minute = schedule("a", MINUTE, catch_up=0, coalesce=False, cap=7)
    stood_still(site, each_minute, hours=5)
    began = now()
    with site.leading(each_minute) as leader:
        until(lambda: leader.status.enqueued >= 7, seconds=20, what="the latest seven ticks")
        ticks = site.enqueued()
    assert 7 <= len(ticks) <= 7 + (now() - began) // timedelta(minutes=1) + 1
