"""Pitfall 4: delays that need a plugin, live on one node, stand in each other's way, and are not how retries wait."""

import time

import services
from actors.brokers.topology import Topology
from services.deadline import until
from tests.integration.project import Project

TASKS = """
    from pathlib import Path

    from actors import actor

    @actor(min_backoff=600, max_backoff=700)
    def fail_once(name: str) -> None:
        tried = Path(f"tried-{name}")
        if not tried.exists():
            tried.touch()
            raise RuntimeError("not yet")
        Path("done").touch()
"""

SEND = """
from actors import enqueue_many
from shop_tasks import charge
charge.broker.enqueue_many((charge.message(number) for number in range(1_000)), delay=3_600_000)
"""

ENV = {"ACTORS_MODULES": "shop_tasks,retry_tasks"}


def hold_queues(server: services.RabbitMQ, prefix: str, column: str) -> dict[str, int]:
    rows = [line.split("\t") for line in server.ctl("list_queues", "name", column).splitlines()]
    return {name: int(value) for name, value in rows if name.startswith(f"{prefix}.hold.") and value != "0"}


def test_p04_delays_need_no_plugin(project: Project, rabbitmq_server: services.RabbitMQ) -> None:
    assert "delayed_message" not in rabbitmq_server.evaluate("rabbit_plugins:active().")
    sent_at = time.time()
    assert project.actors("send", "charge", "--args", "[1]", "--delay", "700ms").returncode == 0
    with project.worker():
        until(lambda: project.ran() == ["1"], seconds=20, what="the delayed message")
    assert time.time() - sent_at >= 0.7


def test_p04_delays_survive_restarts_of_the_worker_and_of_rabbitmq(
    project: Project, private_rabbitmq: services.RabbitMQ
) -> None:
    env = {"ACTORS_BROKER_URL": private_rabbitmq.url}
    with project.worker(**env):
        project.actors("send", "charge", "--args", "[1]", "--delay", "1h", **env)
        project.actors("send", "charge", "--args", "[2]", "--delay", "4s", **env)
    private_rabbitmq.stop()
    private_rabbitmq.start()
    with project.worker(**env):
        until(lambda: project.ran() == ["2"], seconds=30, what="the one that is due")
        waiting = project.json("delayed", "list", status=0, **env)["delayed"]
    assert [(each["actor"], each["queue"]) for each in waiting] == [("charge", "default")]


def test_p04_delays_cost_little_memory_and_stand_in_nobodys_way(
    project: Project, rabbitmq_server: services.RabbitMQ
) -> None:
    # Given 1,000 messages that are due in an hour
    assert project.python("-c", SEND).returncode == 0
    hour = Topology("quorum", project.prefix).hold(3_276_800).name
    with project.worker():
        until(
            lambda: hold_queues(rabbitmq_server, project.prefix, "messages_unacknowledged").get(hour),
            seconds=20,
            what="the heads in the worker's memory",
        )
        # When another is due soon
        project.actors("send", "charge", "--args", "[7]", "--delay", "500ms")
        # Then it runs, and the worker has no more than a few of the others
        until(lambda: project.ran() == ["7"], seconds=20, what="the short delay")
        # The acknowledgement of the one that ran may still be on its way
        until(
            lambda: hold_queues(rabbitmq_server, project.prefix, "messages_unacknowledged") == {hour: 32},
            seconds=20,
            what="none but the heads in the worker's memory",
        )
        assert hold_queues(rabbitmq_server, project.prefix, "messages") == {hour: 1_000}


def test_p04_retries_take_the_same_path(project: Project) -> None:
    project.write("retry_tasks", TASKS)
    # An hour's pause is seen in the list of delayed messages, where a person can shorten it.
    project.write("slow_tasks", TASKS.replace("600", "7_200_000").replace("700", "7_200_000").replace("fail", "slow"))
    env = {"ACTORS_MODULES": "shop_tasks,retry_tasks,slow_tasks"}
    with project.worker(**env):
        project.actors("send", "fail_once", "--args", '["a"]', **env)
        until((project.folder / "done").exists, seconds=20, what="its second attempt")
        (project.folder / "done").unlink()

        project.actors("send", "slow_once", "--args", '["b"]', **env)
        [retry] = until(
            lambda: project.json("delayed", "list", status=0, **env)["delayed"], seconds=20, what="its retry"
        )
        assert (retry["actor"], retry["retries"]) == ("slow_once", 1)
        assert project.actors("delayed", "run-now", retry["message_id"], **env).returncode == 0
        until((project.folder / "done").exists, seconds=20, what="its second attempt")
        assert project.json("delayed", "list", status=0, **env)["delayed"] == []
