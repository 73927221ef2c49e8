"""`actors delayed` beside real workers."""

import json
from datetime import datetime
from typing import Any

import pytest

import services
from services.deadline import until
from tests.integration.project import Project
from tests.warm import warm

NOWHERE_AMQP = "amqp://guest:secret@127.0.0.1:1/"

SEND = """
from shop_tasks import charge, report
charge.broker.enqueue_many((charge.message(n).copy(message_id=f"m{n}") for n in range(50)), delay=3_600_000)
report.send_with_options(args=("monday",), delay=86_400_000)
"""


@pytest.fixture
def shop(project: Project) -> Project:
    """An application with 51 delayed messages."""
    assert project.python("-c", SEND).returncode == 0
    return project


def listed(project: Project, *arguments: str, **env: str) -> list[dict[str, Any]]:
    return list(project.json("delayed", "list", *arguments, status=0, **env)["delayed"])


def unacked(server: services.RabbitMQ, project: Project) -> int:
    return sum(number for name, number in server.unacked().items() if name.startswith(project.prefix))


def test_the_list_is_the_same_beside_any_number_of_workers(shop: Project, rabbitmq_server: services.RabbitMQ) -> None:
    before = shop.json("delayed", "list")
    assert {each["message_id"] for each in before["delayed"]} > {f"m{number}" for number in range(50)}
    assert {each["looked_at"] for each in before["holds"]} == {50, 1}
    with shop.worker():
        until(lambda: unacked(rabbitmq_server, shop) == 33, seconds=20, what="a relay that keeps the heads")
        beside_one = shop.json("delayed", "list")
        assert beside_one["silent_relays"] == 0
        assert [each["due"] for each in beside_one["delayed"]] == [each["due"] for each in before["delayed"]]
        with shop.process("-m", "actors", "relay"):
            until(lambda: unacked(rabbitmq_server, shop) == 51, seconds=20, what="two relays that keep all")
            beside_two = shop.json("delayed", "list")
            assert beside_two["silent_relays"] == 0
            assert [each["due"] for each in beside_two["delayed"]] == [each["due"] for each in before["delayed"]]


def test_what_is_cancelled_never_runs_and_what_is_run_now_does(
    shop: Project, rabbitmq_server: services.RabbitMQ
) -> None:
    with shop.worker():
        until(lambda: unacked(rabbitmq_server, shop) == 33, seconds=20, what="a relay that keeps the heads")
        # One that the relay keeps, and one that is in its queue, of each.
        ended = shop.actors("delayed", "cancel", "m1", "m48")
        assert ended.returncode == 0, ended.stderr
        assert [line.split(", due")[0] for line in ended.stdout.splitlines()] == [
            "cancelled m48 of charge",
            "cancelled m1 of charge",
        ]
        lines = [json.loads(line.removeprefix("audit: ")) for line in ended.stderr.splitlines()]
        assert [(line["operation"], line["message_id"]) for line in lines] == [("cancel", "m48"), ("cancel", "m1")]

        assert shop.actors("delayed", "run-now", "m2", "m47").returncode == 0
        until(lambda: sorted(shop.ran()) == ["2", "47"], seconds=20, what="those that were to run now")
        assert len(listed(shop)) == 47

        again = shop.actors("delayed", "run-now", "m1")
        assert (again.returncode, again.stdout) == (1, "")
        assert "'m1': not among the delayed messages" in again.stderr
        assert sorted(shop.ran()) == ["2", "47"]


def test_filters_pages_and_totals(shop: Project) -> None:
    assert [each["actor"] for each in listed(shop, "--queue", "reports")] == ["report"]
    assert listed(shop, "--actor", "refund") == []
    page = shop.json("delayed", "list", "--limit", "20")
    rest = listed(shop, "--limit", "100", "--after", page["next"])
    assert (len(page["delayed"]), len(rest)) == (20, 31)
    dues = [datetime.fromisoformat(each["due"]) for each in [*page["delayed"], *rest]]
    assert dues == sorted(dues)
    shallow = shop.actors("delayed", "list", "--depth", "10")
    assert f"looked at 10 of 50 in {shop.prefix}.hold.3276800.quorum" in shallow.stderr


def test_another_environments_messages_are_not_seen(shop: Project) -> None:
    env = {"ACTORS_QUEUE_PREFIX": f"{shop.prefix}staging"}
    assert listed(shop, **env) == []
    assert shop.actors("delayed", "cancel", "m1", **env).returncode == 1
    assert len(listed(shop)) == 51


@pytest.mark.parametrize("command", [["list"], ["cancel", "m1"], ["run-now", "m1"]])
def test_a_rabbitmq_that_is_away_ends_a_command_with_one_line_and_3(project: Project, command: list[str]) -> None:
    ended = project.actors("delayed", *command, "--timeout", "0.5", "--json", ACTORS_BROKER_URL=NOWHERE_AMQP)
    assert (ended.returncode, ended.stdout) == (3, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith("Error: amqp://guest:***@127.0.0.1:1/")


def test_a_user_without_rights_is_told_what_it_lacks(
    shop: Project, rabbitmq_server: services.RabbitMQ, prefix: str
) -> None:
    with rabbitmq_server.user(prefix, configure="nothing", write="nothing", read="nothing") as url:
        ended = shop.actors("delayed", "list", ACTORS_BROKER_URL=url)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith(f"Error: amqp://{prefix}:***@")
    assert "ACCESS_REFUSED" in ended.stderr


def test_a_command_that_is_killed_loses_nothing(shop: Project, rabbitmq_server: services.RabbitMQ) -> None:
    program = """
import time
from actors.brokers import walk
from actors.cli import main
class Slow(walk.Peek):
    def __exit__(self, *error):
        print("in hand", flush=True)
        time.sleep(60)
walk.Peek = Slow
main()
"""
    log = shop.folder / "killed.log"
    process = warm().start("-c", program, "delayed", "list", env=shop.env, log=log, cwd=shop.folder)
    try:
        until(lambda: "in hand" in log.read_text(), seconds=30, what="messages in hand")
        until(lambda: unacked(rabbitmq_server, shop) > 0, seconds=10, what="RabbitMQ's count of what is in hand")
    finally:
        process.kill()
        process.wait()
    until(lambda: unacked(rabbitmq_server, shop) == 0, seconds=10, what="all of it given back")
    assert len(listed(shop)) == 51
