"""Pitfall 2: scheduler and worker point at different brokers."""

import re

from services.deadline import until
from tests.integration.project import Project

APPLICATION = """
    import logging

    from shop_tasks import charge

    logging.basicConfig(level=logging.INFO)
    charge.send(1)
"""


def identity_of(log: str) -> dict[str, str]:
    """The broker and the store of the one start line."""
    [line] = [line for line in log.splitlines() if "start: " in line]
    return dict(re.findall(r"(broker|store|queue_prefix)=(\S+)", line))


def test_p02_worker_application_and_check_say_the_same_broker_and_store_without_password(project: Project) -> None:
    project.write("shop", APPLICATION)
    with project.worker() as log:
        worker = identity_of(log.read_text())
        application = identity_of(project.python("-m", "shop").stderr)
        check = project.json("check", "--connect")["identity"]
        until(lambda: project.ran() == ["1"], seconds=20, what="the application's message, run by the worker")
    assert worker == application == {name: check[name] for name in ("broker", "store", "queue_prefix")}
    assert ":***@" in worker["broker"]


def test_p02_a_worker_elsewhere_shows_as_queues_without_consumer(project: Project) -> None:
    with project.worker(ACTORS_QUEUE_PREFIX=f"{project.prefix}.elsewhere") as log:
        project.actors("send", "charge", "--args", "[1]")
        consumers = project.findings("consumers")
        assert {name: each["status"] for name, each in consumers.items()} == {
            "default": "warning",
            "reports": "warning",
        }
        assert consumers["default"]["what"] == "no consumer, 1 message ready"
        assert "start line" in consumers["default"]["advice"]
        check = project.json("check", "--connect")["identity"]
        assert identity_of(log.read_text())["queue_prefix"] != check["queue_prefix"]


def test_p02_check_compares_what_live_workers_use_with_what_it_does(project: Project) -> None:
    with project.worker():
        # It consumes before it has told of itself.
        alike = until(lambda: project.findings("workers").get("all", {}), seconds=20, what="a worker that is well")
        assert (alike["status"], alike["what"].partition(",")[0]) == ("ok", "1 worker")
        classic = project.findings("workers", ACTORS_QUEUE_TYPE="classic")
    [(_, found)] = classic.items()
    assert found["status"] == "warning"
    assert found["what"] == "has the queue type quorum, and this process classic"
