"""Pitfall 1: the scheduler runs, nothing consumes, and nobody is told."""

import re
from collections.abc import Iterator

import pika
import pytest

from actors.brokers.topology import Topology
from services.deadline import until
from tests.integration.periodic.probed import probed
from tests.integration.periodic.shop import Shop
from tests.integration.project import Project

TASKS = """
    from actors import actor
    from periodic import every

    @actor(periodic=[every(seconds=1, name="open"), every(hours=1, name="close", queue="night")])
    def doors() -> None: ...

    @actor(queue_name="reports", periodic=every(days=1))
    def report() -> None: ...

    @actor(queue_name="mail", periodic=every(days=1))
    def paused() -> None: ...

    @actor(queue_name="unscheduled")
    def charge() -> None: ...
"""
QUEUES = {"default": "open", "night": "close", "reports": "report"}


@pytest.fixture
def shop(project: Project) -> Iterator[Shop]:
    shop = Shop(project)
    project.write("shop_tasks", TASKS)
    yield shop
    shop.close()
    topology = Topology("quorum", project.prefix)
    with pika.BlockingConnection(pika.URLParameters(project.env["ACTORS_BROKER_URL"])) as connection:
        for queue in ("night", "mail", "unscheduled", "elsewhere"):
            for physical in (topology.work(queue), topology.dead(queue)):
                connection.channel().queue_delete(physical.name)


def test_p01_readiness_status_and_check_name_every_scheduled_queue_without_a_consumer(shop: Shop) -> None:
    with probed(shop.project) as leader:
        until(lambda: "leads from" in leader.log(), seconds=30, what="a leader")
        shop.says("pause", "paused")

        # When no worker runs, the scheduler is not ready, and lives
        until(
            lambda: set(re.findall(r"-Q (\w+);", leader.problem("consumers"))) == QUEUES.keys(),
            seconds=20,
            what="a word of all three, and not of the one that is paused",
        )
        status, said = leader.ask()
        failed = {check["reason"].split("'")[1]: check for check in said["checks"] if not check["ok"]}
        assert (status, leader.ask("/live")[0]) == (503, 200)
        assert failed.keys() == {f"{shop.project.prefix}.{queue}.quorum" for queue in QUEUES}
        for queue, schedule in QUEUES.items():
            check = failed[f"{shop.project.prefix}.{queue}.quorum"]
            assert check["reason"].endswith(f" s; what enqueues there: {schedule}")
            assert f"dramatiq actors shop.tasks -Q {queue};" in check["advice"]

        # Operators see the same
        told = shop.json("status")["leader"]
        assert told["ready"] is False
        assert {check["reason"].split("'")[1] for check in told["checks"] if not check["ok"]} == failed.keys()
        table = shop.says("status")
        assert table.count("not ready: ") == len(QUEUES)
        found = shop.project.findings("consumers")
        for queue, schedule in QUEUES.items():
            assert found[queue]["status"] == "warning"
            assert found[queue]["what"].startswith("no consumer")
            assert found[queue]["what"].endswith(f"; what enqueues there: {schedule}")
            assert f"-Q {queue};" in found[queue]["advice"]
        assert "enqueues there" not in found["unscheduled"]["what"]

        # When workers take all but one, that one is left; and none when they take it, too
        command = ["-m", "dramatiq", "actors", "--processes", "1", "--threads", "1", "--queues"]
        with shop.project.process(*command, "default", "night"):
            until(
                lambda: [check["name"] for check in leader.ask()[1]["checks"] if not check["ok"]] == ["consumers"],
                seconds=30,
                what="one that is left",
            )
            assert "-Q reports;" in leader.problem("consumers")
            with shop.project.process(*command, "reports"):
                until(lambda: leader.is_ready, seconds=30, what="a scheduler that is ready")
        until(lambda: not leader.is_ready, seconds=30, what="one that is not, again")


def test_p01_check_names_the_queue_of_a_schedule_that_was_added_at_run_time(shop: Shop) -> None:
    with shop.leading():
        shop.says("add", "extra", "--actor", "charge", "--every", "1h", "--queue", "elsewhere")
    found = shop.project.findings("consumers")["elsewhere"]
    assert (found["status"], found["what"]) == ("warning", "no consumer; what enqueues there: extra")
