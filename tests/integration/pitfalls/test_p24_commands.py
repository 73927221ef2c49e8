"""Pitfall 24: inspecting idle queues takes hand-written scripts."""

import json
from datetime import UTC, datetime

from tests.integration.project import Project


def test_p24_check_and_queues_show_an_idle_queue_with_its_messages_as_json(project: Project) -> None:
    for order in range(3):
        project.actors("send", "charge", "--args", f"[{order}]")
    queue = project.queues()["default"]
    assert {name: queue[name] for name in ("actors", "ready", "consumers", "dead", "unused")} == {
        "actors": ["charge", "refund"],
        "ready": 3,
        "consumers": 0,
        "dead": 0,
        "unused": False,
    }
    assert project.findings("consumers")["default"]["what"] == "no consumer, 3 messages ready"


def test_p24_the_tables_show_the_same(project: Project) -> None:
    project.actors("send", "charge", "--args", "[1]")
    name = f"{project.prefix}.default.quorum"
    rows = [line.split() for line in project.actors("queues").stdout.splitlines()]
    assert ["default", name, "work", "1", "0", "charge,", "refund"] in rows
    check = [line.split() for line in project.actors("check", "--connect").stdout.splitlines()]
    assert ["warning", "consumers", "default", "no", "consumer,", "1", "message", "ready"] in check


SCHEDULES = """
    from actors import actor
    from periodic import cron

    @actor(periodic=cron("0 9 * * 1-5", timezone="Asia/Shanghai"))
    def send_daily_report() -> None: ...
"""


def test_p24_registered_schedules_are_listed_though_nothing_runs(project: Project) -> None:
    project.write("shop_tasks", SCHEDULES)
    ended = project.python("-m", "periodic", "list", "--json")
    assert ended.returncode == 0, ended.stderr
    [row] = json.loads(ended.stdout)["schedules"]
    assert (row["schedule"], row["actor"], row["timezone"]) == ("send_daily_report",) * 2 + ("Asia/Shanghai",)
    assert datetime.fromisoformat(row["next"]).astimezone(UTC).hour == 1
    table = project.python("-m", "periodic", "list").stdout
    assert "cron('0 9 * * 1-5', Asia/Shanghai" in table
