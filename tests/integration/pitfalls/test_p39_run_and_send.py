"""Pitfall 39: trying a task locally triggers production."""

import json

from tests.integration.project import Project

NOWHERE = {
    "ACTORS_BROKER_URL": "amqp://guest:guest@127.0.0.1:1/",
    "ACTORS_STORE_URL": "redis://127.0.0.1:1/0",
}


def test_p39_run_calls_it_here_where_there_is_neither_rabbitmq_nor_redis(project: Project) -> None:
    ended = project.actors("run", "charge", "--args", "[42]", **NOWHERE)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == 42
    assert project.ran() == ["42"]


def test_p39_run_opens_no_socket_and_enqueues_nothing(project: Project) -> None:
    # Given a process that ends as soon as anything asks for a socket of the network
    project.write(
        "no_network",
        """
        import os
        import socket
        import sys

        def refuse(event: str, arguments: tuple) -> None:
            if event == "socket.connect" and arguments[0].family != socket.AF_UNIX:
                os._exit(99)

        sys.addaudithook(refuse)
        import shop_tasks
        """,
    )
    ended = project.actors("run", "charge", "-m", "no_network", "--args", "[42]")
    assert (ended.returncode, project.ran()) == (0, ["42"])
    assert project.actors("send", "charge", "-m", "no_network", "--args", "[43]").returncode == 99
    assert project.queues()["default"]["ready"] == 0


def test_p39_what_a_run_actor_sends_reaches_no_queue(project: Project) -> None:
    project.write(
        "parent", "import actors, shop_tasks\n@actors.actor\ndef pay() -> None:\n    shop_tasks.charge.send(1)\n"
    )
    assert project.json("run", "pay", "-m", "parent")["unsent"] == [{"actor": "charge", "args": [1], "kwargs": {}}]
    queue = project.queues()["default"]
    assert [each["exists"] for each in queue["physical"]] == [False]


def test_p39_send_enqueues_it_and_runs_nothing(project: Project) -> None:
    project.json("send", "charge", "--args", "[42]")
    assert project.ran() == []
    assert project.queues()["default"]["ready"] == 1
