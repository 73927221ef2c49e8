"""One replica leads, and the next goes on where it was."""

import logging
from datetime import timedelta
from itertools import pairwise

import pytest

from periodic.ledger import HEADER
from periodic.position import Position
from periodic.roster import Entry, Roster, timing_of
from periodic.status import Role
from periodic.watermark import Watermark
from services.deadline import until
from tests.integration.periodic.site import Site, gaps, now, schedule, wait_for_ticks, wait_until


def test_p06_of_two_replicas_one_leads_and_the_other_stands_by(site: Site) -> None:
    with site.leading(schedule()) as leader:
        other = site.scheduler(schedule(), name="two")
        site.start(other)
        wait_until(other, Role.STANDING_BY)
        wait_for_ticks(leader, 10)
        assert other.status.enqueued == 0
        assert leader.status.role is Role.LEADING


def test_the_next_goes_on_where_the_last_has_ended(site: Site) -> None:
    with site.leading(schedule()) as leader:
        other = site.scheduler(schedule(), name="two")
        site.start(other)
        wait_until(other, Role.STANDING_BY)
        wait_for_ticks(leader, 5)
    wait_until(other, Role.LEADING)
    wait_for_ticks(other, 5)
    other.stop()

    ticks = site.enqueued()
    assert len(ticks) >= 10
    assert gaps(ticks, every_ms=50) == (0, 0)


def test_ticks_of_all_schedules_are_enqueued_in_the_order_in_which_they_are_due(site: Site) -> None:
    with site.leading(schedule("b", 30), schedule("a", 20), schedule("c", 50)) as leader:
        wait_for_ticks(leader, 50)

    ticks = site.enqueued()
    assert all(earlier < later for earlier, later in pairwise(ticks))


def test_the_watermark_is_where_the_newest_message_is(site: Site) -> None:
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 3)

    newest = site.enqueued()[-1]
    assert site.watermark().mark == Position.of(newest)
    assert site.watermark().leader == "one"


def test_a_message_does_not_say_that_the_watermark_is_to_move(site: Site) -> None:
    """A worker, or a shovel, that published it again with its headers would move the watermark back."""
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 1)

    (_, properties, _), *_ = site.take(site.work())
    assert set(properties.headers) - {"x-delivery-count"} == {HEADER}


def test_the_first_leader_of_all_starts_from_now(site: Site) -> None:
    began = now()
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 1)

    assert site.enqueued()[0].time > began
    assert site.missed() == []


def test_what_was_missed_while_nobody_led_is_caught_up_with_and_the_rest_recorded(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    minutely = schedule("a", 60_000)
    hour_ago = now() - timedelta(hours=1)
    site.begin_with(
        Watermark(Position.behind_all(hour_ago), hour_ago), Roster({"a": Entry(timing_of(minutely), hour_ago)})
    )
    with site.leading(minutely) as leader:
        until(lambda: leader.status.missed, seconds=10, what="a record")
        wait_until(leader, Role.LEADING)
        until(lambda: site.depth(site.work()) >= 2, seconds=10, what="what is caught up with")

    enqueued = site.enqueued()
    missed = site.missed()
    # The latest of those that were too late, and those of the last minute
    assert gaps(enqueued, 60_000) == (0, 0)
    assert len(enqueued) in (2, 3)
    assert len(enqueued) + len(missed) in (60, 61)
    assert missed[-1].time == enqueued[0].time - timedelta(minutes=1)
    assert all("coalesce" in each.reason for each in missed)
    (line,) = [record for record in caplog.records if "missed" in record.message]
    assert line.levelno == logging.WARNING


def test_a_paused_schedule_enqueues_nothing(site: Site) -> None:
    paused = Entry(timing_of(schedule("b")), now(), paused=True)
    site.begin_with(Watermark(Position.behind_all(now()), now()), Roster({"b": paused}))
    with site.leading(schedule("a"), schedule("b")) as leader:
        wait_for_ticks(leader, 10)

    assert {tick.schedule for tick in site.enqueued()} == {"a"}
    assert site.roster().entries["b"].paused


def test_a_replica_of_an_older_generation_never_leads(site: Site) -> None:
    with site.leading(schedule(), generation=2):
        pass
    old = site.scheduler(schedule(), name="old", generation=1)
    site.start(old)
    wait_until(old, Role.REFUSING)
    assert "ACTORS_GENERATION=1 is older than 2" in old.status.problem

    with site.leading(schedule(), name="new", generation=3) as new:
        wait_for_ticks(new, 1)
        assert old.status.enqueued == 0


def test_p14_a_replica_whose_clock_is_far_behind_the_watermark_leaves_leading_to_others(site: Site) -> None:
    with site.leading(schedule()):
        pass
    slow = site.scheduler(schedule(), name="slow", clock=lambda: now() - timedelta(minutes=6))
    site.start(slow)
    wait_until(slow, Role.REFUSING)
    assert "one of the clocks is wrong" in slow.status.problem

    with site.leading(schedule(), name="right") as right:
        wait_for_ticks(right, 1)
        assert slow.status.enqueued == 0


def test_p14_a_leader_whose_clock_is_set_back_by_far_hands_on(site: Site) -> None:
    offset = [timedelta()]
    with site.leading(schedule(), clock=lambda: now() + offset[0]) as leader:
        wait_for_ticks(leader, 1)
        other = site.scheduler(schedule(), name="two")
        site.start(other)
        wait_until(other, Role.STANDING_BY)
        offset[0] = -timedelta(minutes=6)
        wait_until(other, Role.LEADING)
        wait_for_ticks(other, 3)
        wait_until(leader, Role.REFUSING)


def test_a_schedule_that_can_not_be_published_is_tried_again_alone(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    broken = [True]

    def publication(schedule: object, tick: object) -> object:
        if broken and tick.schedule == "b":  # type: ignore[attr-defined]
            raise RuntimeError("the application's own")
        return site.publication(schedule, tick)  # type: ignore[arg-type]

    with site.leading(schedule("a"), schedule("b"), publication=publication) as leader:
        until(lambda: "b" in leader.status.failing, seconds=10, what="a failure")
        wait_for_ticks(leader, 10)
        assert "the application's own" in leader.status.failing["b"]
        # Whoever leads next finds it where it is
        broken.clear()
    with site.leading(schedule("a"), schedule("b"), name="two") as leader:
        wait_for_ticks(leader, 40)
        assert not leader.status.failing

    ticks = site.enqueued()
    for name in "ab":
        assert gaps([tick for tick in ticks if tick.schedule == name], every_ms=50) == (0, 0)
    assert "Traceback" in caplog.text


def test_a_schedule_whose_trigger_fails_does_not_stop_the_others(site: Site) -> None:
    class Moody:
        name, jitter, catch_up, coalesce, cap, queue = "b", timedelta(), timedelta(seconds=60), True, 0, None
        trigger, start, end = schedule("b").trigger, None, None
        is_moody = True

        def ticks_after(self, moment: object) -> object:
            if self.is_moody:
                raise RuntimeError("not now")
            return schedule("b").ticks_after(moment)  # type: ignore[arg-type]

    moody = Moody()
    with site.leading(schedule("a"), moody) as leader:  # type: ignore[arg-type]
        until(lambda: "b" in leader.status.failing, seconds=10, what="a failure")
        moody.is_moody = False
        wait_for_ticks(leader, 5)
        until(lambda: not leader.status.failing, seconds=10, what="the end of the failure")

    assert gaps([tick for tick in site.enqueued() if tick.schedule == "b"], every_ms=50) == (0, 0)
