"""What operators see of schedulers on an SQLite file, and that they are heard."""

import os
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from periodic.changes import Refused
from periodic.position import Position
from periodic.roster import Roster
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


def test_operators_see_who_leads_and_who_stands_by(site: EmbeddedSite) -> None:
    assert site.seen.present().replicas == []
    with site.leading(schedule()) as leader:
        other = site.scheduler(schedule(), name="another")
        stop = site.start(other)
        wait_until(other, Role.STANDING_BY)
        wait_for_ticks(leader, 1)
        until(lambda: len(site.seen.present().replicas) == 2, seconds=10, what="both")
        present = site.seen.present()
        assert [(each["replica"], each["role"], each["ready"]) for each in present.replicas] == [
            ("one", "leading", True),
            ("another", "standing by", True),
        ]
        assert present.silent == 0
        stop()
    assert site.seen.present().replicas == []


def test_one_that_says_that_it_leads_and_does_not_is_silent(site: EmbeddedSite) -> None:
    with site.leading(schedule()):
        until(lambda: site.seen.present().replicas, seconds=10, what="a report")
        row = site.execute("SELECT status, seen_at FROM actors_periodic_replicas")[0]
    status = row[0].replace("'", "''")
    site.execute(f"INSERT INTO actors_periodic_replicas VALUES ('killed', '{status}', {row[1]})")

    assert (site.seen.present().replicas, site.seen.present().silent) == ([], 1)


def test_a_pause_is_answered_and_holds_whoever_leads_then(site: EmbeddedSite) -> None:
    with site.leading(schedule("a"), schedule("b")) as leader:
        reply = site.ask("pause", schedule="b")
        assert reply["answer"]["text"].startswith("paused b")
        assert reply["status"]["replica"] == "one"
        until(lambda: leader.status.role is Role.LEADING, seconds=5, what="the next term")
    paused = [tick for tick in site.enqueued() if tick.schedule == "b"]
    with site.leading(schedule("a"), schedule("b"), name="two") as second:
        wait_for_ticks(second, 10)
        assert [tick for tick in site.enqueued() if tick.schedule == "b"] == paused
        resumed = site.ask("resume", schedule="b")["answer"]["text"]
        until(lambda: len(site.enqueued()) > len(paused) and site.enqueued()[-1].schedule == "b", seconds=10, what="b")

    assert "of its ticks in the pause none is enqueued" in resumed
    [record] = site.seen.missed({"b"})
    assert "it was paused by somebody" in record.reason
    # All that was due is enqueued, or in the record of the pause.
    assert gaps([tick for tick in site.enqueued() if tick.schedule == "a"], every_ms=50) == (0, 0)


def test_schedules_are_made_changed_and_removed_at_run_time(site: EmbeddedSite) -> None:
    with site.leading(schedule("a", 3_600_000)) as leader:
        definition = {"actor": "job", "every": 50}
        assert site.ask("add", schedule="made", definition=definition)["answer"]["text"] == "added made"
        wait_for_ticks(leader, 2)
        shown = site.ask("show", schedule="made")["answer"]
        assert (shown["added"], shown["definition"]) == (True, definition)
        changed = site.ask("change", schedule="made", definition={"every": 3_600_000})
        assert changed["answer"]["text"] == "changed made"
        rows = site.ask("list")["answer"]["schedules"]
        assert [row["schedule"] for row in rows] == ["a", "made"]
        assert site.ask("remove", schedule="made")["answer"]["text"] == "removed made"
        assert [row["schedule"] for row in site.ask("list")["answer"]["schedules"]] == ["a"]
        assert "declared in the code" in site.ask("remove", schedule="a")["refused"]


def test_what_nobody_has_answered_in_time_is_not_done_later(site: EmbeddedSite) -> None:
    assert site.ask("pause", timeout_s=0.1, schedule="a") is None
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 10)
        assert not site.roster().entries["a"].paused
    assert site.execute("SELECT count(*) FROM actors_periodic_inquiries") == [(0,)]


def test_an_inquiry_of_somebody_who_was_killed_is_swept(site: EmbeddedSite) -> None:
    with site.leading(schedule()):
        site.execute("INSERT INTO actors_periodic_inquiries VALUES ('x', '{}', 1, NULL)")
        until(
            lambda: site.execute("SELECT count(*) FROM actors_periodic_inquiries") == [(0,)],
            seconds=10,
            what="the sweep",
        )


def test_what_is_no_inquiry_is_refused_and_the_term_goes_on(site: EmbeddedSite) -> None:
    with site.leading(schedule()) as leader:
        until_ms = time.time_ns() // 1_000_000 + 60_000
        site.execute(f"INSERT INTO actors_periodic_inquiries VALUES ('x', 'none', {until_ms}, NULL)")
        answer = "SELECT answer FROM actors_periodic_inquiries WHERE answer IS NOT NULL"
        until(lambda: site.execute(answer), seconds=10, what="an answer")
        assert "is no inquiry" in site.execute(answer)[0][0]
        wait_for_ticks(leader, 3)


def test_a_watermark_in_the_future_is_reset_where_nobody_leads(site: EmbeddedSite) -> None:
    ahead = now() + timedelta(days=1)
    with pytest.raises(Refused, match="no scheduler has ever led here"):
        site.seen.reset_watermark(now(), now(), force=False)
    site.begin_with(Watermark(Position.behind_all(ahead), ahead), Roster())
    scheduler = site.scheduler(schedule())
    site.start(scheduler)
    wait_until(scheduler, Role.REFUSING)
    to = now()
    assert "moved the watermark" in site.seen.reset_watermark(to, now(), force=False)
    wait_until(scheduler, Role.LEADING)
    wait_for_ticks(scheduler, 3)

    assert site.enqueued()[0].time >= to - timedelta(seconds=6)
    assert gaps(site.enqueued(), every_ms=50) == (0, 0)


def test_a_reset_behind_the_back_of_a_leader_lets_it_begin_again(
    site: EmbeddedSite, caplog: pytest.LogCaptureFixture
) -> None:
    with site.leading(schedule("a", 1_000)) as leader:
        wait_for_ticks(leader, 2)
        with pytest.raises(Refused, match="the watermark is sane"):
            site.seen.reset_watermark(now(), now(), force=False)
        site.seen.reset_watermark(site.enqueued()[0].time, now(), force=True)
        until(lambda: "an operator has taken the lock from one" in caplog.text, seconds=10, what="a loss of the lock")
        wait_until(leader, Role.LEADING)
        wait_for_ticks(leader, 2)

    # It was told to do all again behind there.
    again = site.enqueued()
    assert len(again) - len({tick.time for tick in again}) >= 1
