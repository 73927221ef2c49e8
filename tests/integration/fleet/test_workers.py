"""What commands show of real workers that work, freeze, and are killed."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime, timedelta

from services.deadline import until
from tests.integration.fleet.site import KEEP_MS, Site, events


def test_a_worker_is_shown_with_what_it_runs_and_all_that_it_has_done(site: Site) -> None:
    with site.worker() as (process, told):
        [held] = site.send("[hold.message('free')]")
        began = datetime.now(UTC)
        site.report(lambda each: each.running, "what runs")
        site.send("[charge.message(number) for number in range(150)] + [refund.message(number) for number in range(3)]")
        site.report(lambda each: sum(each.outcomes.values()) == 153, "all that was sent")

        shown = site.status(status=0)
        [worker] = shown["workers"]
        assert (worker["pid"], worker["state"], worker["threads"]) == (told.pid, "consuming", 2)
        assert worker["queues"] == ["default", "reports"]
        [running] = worker["running"]
        assert (running["message_id"], running["actor"], running["attempt"]) == (held, "hold", 1)
        since = datetime.fromisoformat(running["since"])
        assert abs(since - began) < timedelta(seconds=5)
        assert worker["outcomes"] == shown["rates"]["outcomes"] == {"done": 150, "dead": 3}
        assert worker["failed"] == 3
        assert {name: work["ended"] for name, work in shown["actors"].items()} == {"charge": 150, "refund": 3}
        assert shown["rates"]["per_s"] > 0
        queues = {each["name"]: each for each in shown["queues"]}
        assert (queues["default"]["ready"], queues["default"]["dead"], queues["default"]["consumers"]) == (0, 3, 1)
        assert queues["reports"]["in_hand"] == 1
        assert shown["problems"] == []

        # Nobody has followed: there is nothing of 153 attempts.
        assert site.fleet.newest(10)[0] == []

        with site.follower() as (follower, out):
            sent = site.send("[charge.message(number) for number in range(200)]")
            until(lambda: len(events(out)) >= 200, seconds=20, what="the events")
            (site.project.folder / "free").touch()
            until(lambda: len(events(out)) >= 201, seconds=20, what="the last event")
            follower.send_signal(signal.SIGINT)
            assert follower.wait(10) == 0
        followed = events(out)
        assert [each["message_id"] for each in followed[-1:]] == [held]
        assert sorted(each["message_id"] for each in followed[:-1]) == sorted(sent)
        assert {(each["actor"], each["outcome"], each["worker"]) for each in followed[:-1]} == {
            ("charge", "done", f"{told.host}:{told.pid}")
        }

        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert site.reports() == []


def test_a_worker_that_freezes_or_is_killed_is_shown_as_silent_and_then_forgotten(site: Site) -> None:
    with site.worker() as (_, told):
        [held] = site.send("[hold.message('never')]")
        site.report(lambda each: each.running, "what runs")
        os.kill(told.pid, signal.SIGSTOP)
        until(lambda: site.fleet.members()[0].age_ms > 3_000, seconds=20, what="its silence")
        shown = site.status(status=1)
        [worker] = shown["workers"]
        assert (worker["state"], worker["running"][0]["message_id"]) == ("silent", held)
        assert worker["heard_ms"] >= 3_000
        assert [each["what"] for each in shown["problems"] if each["subject"] == f"{told.host}:{told.pid}"] != []
        assert f"when it was running hold, message {held}" in shown["problems"][0]["what"]

        os.kill(told.pid, signal.SIGCONT)
        until(lambda: site.fleet.members()[0].age_ms < 1_000, seconds=20, what="a word of it")
        os.kill(told.pid, signal.SIGKILL)
        until(lambda: site.fleet.members()[0].age_ms > 3_000, seconds=20, what="its silence")
        assert site.status(status=1)["workers"][0]["state"] == "silent"
        until(lambda: not site.fleet.members(), seconds=KEEP_MS / 1_000 + 10, what="that it is forgotten")
    ended = site.project.actors("status", "--json", ACTORS_MODULES="")
    assert json.loads(ended.stdout)["workers"] == []
