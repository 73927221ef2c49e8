"""Pitfall 29: a task that kills its worker is redelivered for ever."""

import pytest

import services
from services.deadline import until
from tests.integration.dead import dead_letters
from tests.integration.project import Project
from tests.integration.supervised import supervised

TASKS = """
    import os
    import signal
    import time
    from pathlib import Path

    from actors import actor

    def kill(number: int) -> None:
        while not Path("go").exists():
            time.sleep(0.02)
        with Path("killed").open("a") as killed:
            killed.write(f"{number}\\n")
        os.kill(os.getpid(), signal.SIGKILL)

    eat_memory = actor(actor_name="eat_memory")(kill)
    eat_memory_unguarded = actor(actor_name="eat_memory_unguarded", idempotent=False)(kill)
"""

SEND = """
import sys
import actors, killing_tasks, shop_tasks
before = [shop_tasks.charge.message(number) for number in range(20)]
after = [shop_tasks.charge.message(number) for number in range(20, 40)]
actors.enqueue_many([*before, actors.broker.get_actor(sys.argv[1]).message(7), *after])
"""

ENV = {"ACTORS_MODULES": "shop_tasks,killing_tasks", "ACTORS_IDEMPOTENCY_LEASE_MS": "500"}


@pytest.mark.parametrize(
    ("name", "losses"), [("eat_memory", 3), pytest.param("eat_memory_unguarded", 3, marks=pytest.mark.long)]
)
def test_p29_what_kills_its_workers_is_poison_after_so_many_and_its_neighbours_are_done(
    project: Project, rabbitmq_server: services.RabbitMQ, name: str, losses: int
) -> None:
    # Given a supervisor, and a message among others that is the end of each worker
    project.write("killing_tasks", TASKS)
    with supervised(project, **ENV) as worker:
        assert project.python("-c", SEND, name, **ENV).returncode == 0
        until(lambda: messages(project, rabbitmq_server) == {"default": 1}, seconds=30, what="its neighbours")
        assert worker.deaths == []
        (project.folder / "go").touch()
        until(lambda: messages(project, rabbitmq_server) == {"default.XQ": 1}, seconds=60, what="the dead letter")
        deaths = len(worker.deaths)

        # The worker that is left works
        assert project.actors("send", "charge", "--args", "[40]", **ENV).returncode == 0
        until(lambda: "40" in project.ran(), seconds=20, what="another job")

    # Then it has cost as many workers as it may, and no more; its neighbours were done, once
    assert (project.folder / "killed").read_text().split() == ["7"] * losses
    assert deaths == losses
    assert sorted(map(int, project.ran())) == list(range(41))

    # And its dead letter says so
    [letter] = dead_letters(project)
    assert (letter.actor_name, letter.args) == (name, (7,))
    assert letter.options["failure"] == {
        "reason": "poison",
        "type": "Poison",
        "message": f"poison: its workers were lost {losses} times",
    }


def messages(project: Project, server: services.RabbitMQ) -> dict[str, int]:
    """How many messages RabbitMQ has in each queue of the application that has any, be they ready or unacked."""
    return {
        name.removeprefix(f"{project.prefix}.").replace(".quorum", ""): count
        for name, count in server.messages().items()
        if count and name.startswith(project.prefix)
    }
