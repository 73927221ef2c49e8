"""Schedulers on an SQLite file: one leads, and the next goes on where it was."""

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from periodic import serving
from periodic.health import UNCONSUMED_FOR_S, ready
from periodic.position import Position
from periodic.roster import Entry, Roster, timing_of
from periodic.status import Role
from periodic.watermark import Watermark
from services.deadline import until
from tests.integration.periodic.embedded import EmbeddedSite, wait_for_ticks, wait_until
from tests.integration.periodic.site import gaps, now, schedule


@pytest.fixture
def site() -> Iterator[EmbeddedSite]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("ACTORS_TEST_FOLDER")) as folder:
        site = EmbeddedSite(Path(folder))
        yield site
        site.close()


def test_of_two_replicas_one_leads_and_the_next_goes_on_where_it_has_ended(site: EmbeddedSite) -> None:
    with site.leading(schedule()) as leader:
        other = site.scheduler(schedule(), name="two")
        site.start(other)
        wait_until(other, Role.STANDING_BY)
        wait_for_ticks(leader, 10)
        assert other.status.enqueued == 0
    wait_until(other, Role.LEADING)
    wait_for_ticks(other, 5)

    assert gaps(site.enqueued(), every_ms=50) == (0, 0)
    assert leader.status.enqueued + other.status.enqueued == len(site.enqueued())


def test_the_watermark_is_where_the_newest_message_is(site: EmbeddedSite) -> None:
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 3)

    assert site.watermark().mark == Position.of(site.enqueued()[-1])
    assert site.watermark().leader == "one"


def test_what_was_missed_while_nobody_led_is_caught_up_with_and_the_rest_recorded(site: EmbeddedSite) -> None:
    minutely, hour_ago = schedule("a", 60_000), now() - timedelta(hours=1)
    entry = Entry(timing_of(minutely), hour_ago)
    site.begin_with(Watermark(Position.behind_all(hour_ago), hour_ago), Roster({"a": entry}))
    with site.leading(minutely) as leader:
        until(lambda: leader.status.enqueued >= 2, seconds=10, what="what is caught up with")

    enqueued, missed = site.enqueued(), site.seen.missed({"a"})
    assert gaps(enqueued, 60_000) == (0, 0)
    assert len(enqueued) in (2, 3)
    assert len(enqueued) + len(missed) in (60, 61)
    assert missed[-1].time == enqueued[0].time - timedelta(minutes=1)
    assert site.seen.missed({"b"}) == []


def test_a_replica_of_an_older_generation_never_leads(site: EmbeddedSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "LOOK_AGAIN_S", 0.1)
    with site.leading(schedule(), generation=2):
        pass
    old = site.scheduler(schedule(), name="old", generation=1)
    site.start(old)
    wait_until(old, Role.REFUSING)
    assert "ACTORS_GENERATION=1 is older than 2" in old.status.problem
    until(lambda: site.seen.present().replicas, seconds=10, what="its word")
    [told] = site.seen.present().replicas
    assert (told["ready"], "is older than 2" in told["problem"]) == (False, True)

    with site.leading(schedule(), name="new", generation=3) as new:
        wait_for_ticks(new, 1)
        wait_until(old, Role.STANDING_BY)
        assert old.status.enqueued == 0


def test_a_leader_whose_clock_is_set_back_by_far_hands_on(site: EmbeddedSite) -> None:
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


def test_what_can_not_be_read_is_not_led_from(site: EmbeddedSite) -> None:
    with site.leading(schedule()):
        pass
    site.execute("UPDATE actors_periodic_roster SET text = 'no roster'")
    scheduler = site.scheduler(schedule(), name="two")
    site.start(scheduler)
    wait_until(scheduler, Role.REFUSING)
    assert "is no roster" in scheduler.status.problem


def test_a_message_that_is_not_taken_holds_up_its_own_schedule_alone(site: EmbeddedSite) -> None:
    with site.leading(schedule("a"), schedule("b")) as leader:
        site.refused.add("b")
        until(lambda: "b" in leader.status.failing, seconds=10, what="a failure")
        wait_for_ticks(leader, 10)
        assert leader.status.role is Role.LEADING
        assert "can't be enqueued" in leader.status.failing["b"]
        site.refused.clear()
        until(lambda: not leader.status.failing, seconds=20, what="an end of the failure")
        wait_for_ticks(leader, 10)

    ticks = site.enqueued()
    for name in "ab":
        assert gaps([tick for tick in ticks if tick.schedule == name], every_ms=50) == (0, 0)
    assert leader.status.enqueued == len(ticks)


def test_a_message_that_can_not_be_made_holds_up_its_own_schedule_alone(
    site: EmbeddedSite, caplog: pytest.LogCaptureFixture
) -> None:
    broken = {"b"}

    def publication(schedule: object, tick: object) -> tuple[str, str]:
        if tick.schedule in broken:  # type: ignore[attr-defined]
            raise RuntimeError("the application's own")
        return tick.schedule, tick.time.isoformat()  # type: ignore[attr-defined]

    with site.leading(schedule("a"), schedule("b"), publication=publication) as leader:
        until(lambda: "b" in leader.status.failing, seconds=10, what="a failure")
        wait_for_ticks(leader, 10)
        broken.clear()
        until(lambda: not leader.status.failing, seconds=10, what="the end of the failure")

    ticks = site.enqueued()
    for name in "ab":
        assert gaps([tick for tick in ticks if tick.schedule == name], every_ms=50) == (0, 0)
    assert "Traceback" in caplog.text


def test_a_file_that_is_locked_is_said_by_name_and_waited_for(site: EmbeddedSite) -> None:
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 1)
        with site.locked():
            wait_until(leader, Role.CONNECTING)
            [check] = [each for each in ready(leader.status, time.monotonic()) if not each.ok]
            assert check.reason.startswith(f"{site.path} can't be used: FileUnavailable: ")
            assert "locked" in check.reason
        wait_until(leader, Role.LEADING)
        wait_for_ticks(leader, 3)
        assert all(check.ok for check in ready(leader.status, time.monotonic()))

    assert gaps(site.enqueued(), every_ms=50) == (0, 0)
    assert leader.status.enqueued == len(site.enqueued())


def test_queues_that_nobody_takes_from_are_said(site: EmbeddedSite) -> None:
    consumed = {"default": False}
    with site.leading(schedule(), is_consumed=lambda queue: consumed[queue]) as leader:
        until(lambda: leader.status.unconsumed, seconds=10, what="a look")
        late = time.monotonic() + UNCONSUMED_FOR_S + 1
        [check] = [each for each in ready(leader.status, late) if each.name == "consumers"]
        assert check.reason.startswith("queue 'default' has had no consumer for")


def test_a_lock_file_that_is_deleted_costs_a_handover_at_most(site: EmbeddedSite) -> None:
    with site.leading(schedule()) as leader:
        other = site.scheduler(schedule(), name="two")
        site.start(other)
        wait_until(other, Role.STANDING_BY)
        Path(f"{site.path}-scheduler").unlink()
        wait_until(other, Role.LEADING)
        wait_until(leader, Role.STANDING_BY)
        wait_for_ticks(other, 3)

    assert gaps(site.enqueued(), every_ms=50) == (0, 0)


def test_a_leader_without_the_lock_file_leads_all_the_same(
    site: EmbeddedSite, caplog: pytest.LogCaptureFixture
) -> None:
    """As where another user has made it, and does not let this one open it."""
    Path(f"{site.path}-scheduler").mkdir()
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 3)
        other = site.scheduler(schedule(), name="two")
        site.start(other)
        wait_until(other, Role.STANDING_BY)
    # It has said that it leads no more.
    wait_until(other, Role.LEADING)
    wait_for_ticks(other, 3)

    assert gaps(site.enqueued(), every_ms=50) == (0, 0)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
