"""Pitfall 30: one slow kind of task blocks all others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.deadline import until
from tests.integration.project import Project

TASKS = """
    import json
    import os
    import time

    from actors import actor

    def note(kind, number, began):
        line = json.dumps([kind, number, os.getpid(), began, time.monotonic()])
        descriptor = os.open("notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{line}\\n".encode())
        os.close(descriptor)

    @actor(max_concurrency=3)
    def render(number: int) -> None:
        began = time.monotonic()
        time.sleep(0.1)
        note("render", number, began)

    @actor
    def quick(number: int) -> None:
        note("quick", number, time.monotonic())

    @actor(queue_name="reports")
    def export(number: int) -> None:
        note("export", number, time.monotonic())

    @actor(priority=10)
    def patient(number: int) -> None:
        time.sleep(0.02)
        note("patient", number, time.monotonic())

    @actor(priority=0)
    def urgent(number: int) -> None:
        note("urgent", number, time.monotonic())
"""

ENV = {"ACTORS_MODULES": "kinds"}
WORKER = ("-m", "dramatiq", "actors", "--processes", "1", "--threads")
RENDERS, QUICK, LIMIT, JOB_S = 60, 20, 3, 0.1

Note = tuple[str, int, int, float, float]


@pytest.fixture(params=["rabbitmq", "sqlite"])
def application(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    """The tasks on RabbitMQ and Redis, or in one file."""
    if request.param == "rabbitmq":
        yield request.getfixturevalue("project")
    else:
        yield Project(tmp_path, broker_url="sqlite:///jobs.db", store_url="", prefix="")


def notes(project: Project) -> list[Note]:
    file = project.folder / "notes"
    return [tuple(json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def numbers(project: Project, kind: str) -> Counter[int]:
    return Counter(number for each, number, *_ in notes(project) if each == kind)


def most_at_once(runs: list[Note]) -> int:
    """How many of *runs* went on at once, at most."""
    events = sorted([(began, 1) for *_, began, _ in runs] + [(ended, -1) for *_, ended in runs])
    running = [sum(change for _, change in events[: place + 1]) for place in range(len(events))]
    return max(running)


def send(project: Project, *kinds: tuple[str, int]) -> None:
    code = f"import actors, kinds; actors.enqueue_many(getattr(kinds, k).message(n) for k, n in {list(kinds)!r})"
    assert project.python("-c", code, **ENV).returncode == 0


def test_p30_no_more_of_a_limited_kind_run_than_may_in_all_workers_and_others_go_ahead(application: Project) -> None:
    # Given far more of a slow kind than may run at once, in the same queue before those of a quick kind
    application.write("kinds", TASKS)
    send(
        application,
        *(("render", number) for number in range(RENDERS)),
        *(("quick", number) for number in range(QUICK)),
    )

    # When two workers take them, each of which could run all
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(application.process(*WORKER, "4", **ENV))
        until(lambda: numbers(application, "render").total() >= RENDERS, seconds=60, what="all of the slow kind")
        until(lambda: numbers(application, "quick").total() >= QUICK, seconds=60, what="all of the quick kind")

    # Then each has run once, three at a time in both workers together, and never more
    assert numbers(application, "render") == dict.fromkeys(range(RENDERS), 1)
    assert numbers(application, "quick") == dict.fromkeys(range(QUICK), 1)
    renders = [each for each in notes(application) if each[0] == "render"]
    assert most_at_once(renders) == LIMIT
    assert len({process for _, _, process, *_ in renders}) == 2

    # Seats were filled soon after they were free, and the others did not wait for that
    began, ended = min(each[3] for each in renders), max(each[4] for each in renders)
    assert RENDERS / LIMIT * JOB_S / (ended - began) > 0.5
    last_quick = max(each[4] for each in notes(application) if each[0] == "quick")
    assert last_quick < began + (ended - began) / 2


def test_p30_a_worker_of_some_queues_leaves_a_slow_kind_alone_and_takes_what_is_urgent_first(project: Project) -> None:
    # Given a slow kind in a queue of its own, and something urgent behind what is not
    project.write("kinds", TASKS)
    send(project, ("export", 1), ("export", 2), *(("patient", number) for number in range(20)), ("urgent", 1))

    # When a worker of one thread is to take the other queue only
    with project.process(*WORKER, "1", "--queues", "default", **ENV):
        until(lambda: numbers(project, "patient").total() == 20, seconds=60, what="the others")

    # Then it has taken nothing of the slow kind, and the urgent one was not the last
    assert numbers(project, "export") == {}
    assert project.queues(**ENV)["reports"]["ready"] == 2
    kinds = [kind for kind, *_ in notes(project)]
    assert kinds.index("urgent") < 10
