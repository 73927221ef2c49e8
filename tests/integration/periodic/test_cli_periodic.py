"""`periodic` as processes, with schedulers and workers as processes beside it."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pika
import pytest

from actors.brokers.topology import Topology
from periodic.ledger import HEADER
from periodic.position import Position
from periodic.watermark import Watermark
from services.deadline import until
from tests.integration.periodic.shop import Shop, now
from tests.integration.project import Project

SECOND = timedelta(seconds=1)


@pytest.fixture
def shop(project: Project) -> Iterator[Shop]:
    shop = Shop(project)
    yield shop
    shop.close()


def test_list_and_history_show_what_runs_next_and_what_ran_last(shop: Shop) -> None:
    with shop.open():
        until(lambda: len(shop.ran("pulse")) >= 2, seconds=20, what="two ticks")
        until(lambda: shop.row("pulse")["last"], seconds=20, what="a record")
        row = shop.row("pulse")
        assert (row["last"]["outcome"], row["last"]["result"], row["paused"]) == ("done", "7", False)
        assert row["last"]["duration_ms"] >= 0
        ahead = datetime.fromisoformat(row["next"]) - datetime.fromisoformat(row["last"]["time"])
        assert ahead >= SECOND
        assert shop.row("send_daily_report")["last"] is None
        table = shop.says("list")
        assert re.search(r"^pulse +pulse +every\(0:00:01\) +\S+Z \(.*\) +\S+Z \(.*ago\) +done ", table, re.MULTILINE)

        first = shop.json("history", "pulse", "--limit", "1")
        second = shop.json("history", "pulse", "--limit", "1", "--after", first["next"])
        [newest], [older] = first["events"], second["events"]
        assert datetime.fromisoformat(newest["tick"]) - datetime.fromisoformat(older["tick"]) == SECOND


def test_status_names_the_leader_and_the_standbys(shop: Shop) -> None:
    with shop.leading() as first, shop.scheduler() as second:
        shop.wait_for_ticks(1)
        status = shop.json("status")
        names = [re.search(r"scheduler\] \[INFO\] (\S+): connected", log.read_text()) for log in (first, second)]
        assert [names[0] and names[0][1], names[1] and names[1][1]] == [
            status["leader"]["replica"],
            status["standbys"][0]["replica"],
        ]
        assert status["silent"] == 0
        assert 0 <= status["leader"]["lateness_ms"] < 60_000
        assert now() - datetime.fromisoformat(status["watermark"]) < timedelta(seconds=30)


def test_a_frozen_standby_is_counted_as_silent(shop: Shop) -> None:
    with shop.leading(), shop.scheduler() as log, shop.frozen(log):
        status = shop.json("status")
    assert (len(status["standbys"]), status["silent"]) == (0, 1)


def test_a_pause_holds_through_a_restart_and_needs_no_redis(shop: Shop) -> None:
    # Given a store at which nobody answers
    nobody: dict[str, Any] = {"ACTORS_STORE_URL": "redis://127.0.0.1:1/0"}
    with shop.leading(**nobody):
        shop.wait_for_ticks(1)
        assert shop.says("pause", "pulse", **nobody).startswith("paused pulse")
        assert "added nightly" in shop.says("add", "nightly", "--actor", "charge", "--every", "1s", "--args", "[1]")
    with shop.leading(**nobody):
        shop.wait_for_ticks(2)
        rows = {row["schedule"]: row for row in shop.json("list", **nobody)["schedules"]}
        assert (rows["pulse"]["paused"], rows["pulse"]["next"]) == (True, None)
        assert (rows["nightly"]["added"], rows["nightly"]["paused"]) == (True, False)
        shop.says("resume", "pulse", **nobody)
        assert shop.json("list", **nobody)["schedules"][1]["next"] is not None
        [missed] = shop.json("history", "pulse", **nobody)["events"]
        assert missed["outcome"] == "missed"
        assert missed["reason"].startswith("it was paused by ")


def test_p38_a_backfill_is_an_explicit_command_and_fills_only_the_holes(shop: Shop) -> None:
    # Given a tick that ran, a hole made by a pause, and ticks that ran after it
    with shop.open():
        until(lambda: len(shop.ran("pulse")) >= 2, seconds=20, what="two ticks")
        shop.says("pause", "pulse")
        paused = len(shop.ran("pulse"))
        hole = now()
        until(lambda: now() - hole > 3 * SECOND, seconds=10, what="three ticks that are not enqueued")
        shop.says("resume", "pulse")
        until(lambda: len(shop.ran("pulse")) >= paused + 2, seconds=20, what="two ticks more")
        ran = [datetime.fromisoformat(time) for time in shop.ran("pulse")]

        # When all is backfilled, twice
        begin, end = min(ran), max(ran) + SECOND
        until(lambda: now() > end, seconds=10, what="the end of the range")
        span = ("--from", begin.isoformat(), "--to", end.isoformat())
        dry = shop.json("backfill", "pulse", *span, "--dry-run")
        for _ in range(2):
            filled = shop.json("backfill", "pulse", *span, "--yes")
            assert filled["enqueued"] == len(filled["ticks"]) == len(dry["ticks"]) == (end - begin) // SECOND

        # Then each tick of the range has run once
        wanted = {begin + number * SECOND for number in range((end - begin) // SECOND)}
        until(lambda: wanted <= set(map(datetime.fromisoformat, shop.ran("pulse"))), seconds=20, what="the holes")
        until(lambda: shop.waiting() == 0, seconds=20, what="the end of all copies")
    times = [datetime.fromisoformat(time) for time in shop.ran("pulse")]
    assert len(times) == len(set(times))
    assert wanted - set(ran)
    events = shop.json("history", "pulse", "--limit", "1000")["events"]
    filled_by = {event["tick"]: event["by"] for event in events if event["outcome"] == "done"}
    assert {filled_by[tick.isoformat()] for tick in wanted - set(ran)} == {"backfill"}


def test_a_triggered_run_runs_now_and_beside_the_ticks(shop: Shop) -> None:
    with shop.worker():
        for kind in ("long", "long", "longer"):
            shop.says("trigger", "send_daily_report", "--args", json.dumps([kind]))
        until(lambda: len(shop.ran("report")) == 3, seconds=20, what="three runs")
        until(lambda: len(shop.outcomes("send_daily_report")) == 3, seconds=20, what="three records")
    assert sorted(shop.ran("report")) == ["long", "long", "longer"]
    events = shop.json("history", "send_daily_report")["events"]
    assert {event["by"] for event in events} == {"trigger"}


def test_an_added_schedule_runs_and_a_removed_one_does_not(shop: Shop) -> None:
    with shop.open():
        shop.says("pause", "pulse")
        shop.says("add", "nightly", "--actor", "charge", "--every", "500ms", "--args", "[42]")
        until(lambda: len(shop.ran("charge")) >= 2, seconds=20, what="two runs")
        shop.says("change", "nightly", "--args", "[43]")
        until(lambda: "43" in shop.ran("charge"), seconds=20, what="a run with the new arguments")
        shop.says("remove", "nightly")
        until(lambda: shop.waiting() == 0, seconds=20, what="the end of all jobs")
        assert [row["schedule"] for row in shop.json("list")["schedules"]] == ["pulse", "send_daily_report"]
        problem = shop.says("add", "other", "--actor", "chrage", "--every", "1s", status=1)
        assert "the code of the schedulers has no actor 'chrage', did you mean 'charge'?" in problem
        problem = shop.says("add", "other", "--actor", "charge", "--every", "1s", status=1)
        assert "order_id" in problem


def test_without_a_scheduler_nothing_is_changed_and_it_is_said_what_to_do(shop: Shop) -> None:
    problem = shop.says("pause", "pulse", status=1)
    assert "no scheduler leads, since none is connected; start one: python -m periodic" in problem
    ended = shop.run("status")
    assert (ended.returncode, ended.stderr.strip()) == (1, f"Error: {problem.splitlines()[0].removeprefix('Error: ')}")
    ended = shop.run("list", "--json")
    assert "no scheduler has answered as the leader" in ended.stderr
    rows = {row["schedule"]: row for row in json.loads(ended.stdout)["schedules"]}
    assert rows.keys() == {"pulse", "send_daily_report"}
    assert datetime.fromisoformat(rows["pulse"]["next"]) - now() <= SECOND


def test_a_schedule_stays_paused_in_the_list_when_no_scheduler_runs(shop: Shop) -> None:
    with shop.leading():
        shop.says("pause", "pulse")
        shop.says("add", "nightly", "--actor", "charge", "--every", "1s", "--args", "[1]")
    rows = {row["schedule"]: row for row in shop.json("list")["schedules"]}
    assert (rows["pulse"]["paused"], rows["pulse"]["next"]) == (True, None)
    assert (rows["nightly"]["added"], rows["nightly"]["actor"]) == (True, "charge")
    with shop.leading():
        assert shop.row("pulse")["paused"]


def test_a_watermark_in_the_future_is_reset_and_then_a_scheduler_leads(shop: Shop) -> None:
    # Given a watermark that a clock which was a day ahead has left
    with shop.leading():
        shop.wait_for_ticks(1)
    ahead = now() + timedelta(days=1)
    with pika.BlockingConnection(pika.URLParameters(shop.project.env["ACTORS_BROKER_URL"])) as connection:
        headers = {HEADER: Watermark(Position.behind_all(ahead), ahead).encode()}
        properties = pika.BasicProperties(delivery_mode=2, headers=headers)
        queue = Topology("quorum", shop.project.prefix).periodic().watermark.name
        connection.channel().basic_publish("", queue, b"", properties)

    # When schedulers run, none leads, and it is said what to do
    with shop.scheduler() as log:
        until(lambda: "refusing" in log.read_text(), seconds=20, what="a refusal")
        assert "then: periodic reset-watermark" in shop.says("status", status=1)
        text = shop.says("reset-watermark", "--timeout", "60")
        assert text.startswith(f"moved the watermark from {ahead.isoformat()} to ")

        # Then one leads
        until(lambda: "leads from" in log.read_text(), seconds=30, what="a leader")
        shop.wait_for_ticks(1)
        problem = shop.says("reset-watermark", status=1)
        assert "the watermark is sane" in problem


def test_the_console_script_is_the_same_command(shop: Shop) -> None:
    ended = shop.project.python("-c", "from actors.cli.periodic import main; main()", "--help")
    assert ended.returncode == 0
    assert "reset-watermark" in ended.stdout
