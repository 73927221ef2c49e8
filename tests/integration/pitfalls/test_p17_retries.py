"""Pitfall 17: ``retry=True`` with no backoff and no limit, by exception only."""

import json
from itertools import pairwise
from typing import Any

import pytest

from services.deadline import until
from tests.integration.project import Project

TASKS = """
    import time
    from datetime import timedelta
    from pathlib import Path

    from actors import FailedAttempt, Retryable, actor, by_status, by_type

    class Response:
        status_code = 429
        headers = {"Retry-After": "1"}

    class Busy(Exception):
        response = Response()

    class Rare(Retryable):
        def decide(self, attempt: FailedAttempt) -> bool:
            return attempt.message.args[0] == "rare" and attempt.retries < 1

    def note(name: str) -> None:
        with Path("attempts").open("a") as attempts:
            attempts.write(f"{name} {time.time()}\\n")

    @actor(max_retries=3, min_backoff=100, max_backoff=400)
    def backoff(name: str) -> None:
        note(name)
        raise RuntimeError

    @actor(min_backoff=1, retry_when=by_type(ConnectionError) | by_status(429, 503), max_retries=1)
    def call(name: str) -> None:
        note(name)
        raise {"busy": Busy, "reset": ConnectionResetError, "wrong": ValueError}[name]

    @actor(min_backoff=1, retry_when=Rare())
    def order(name: str) -> None:
        note(name)
        raise RuntimeError

    @actor(min_backoff=600, max_backoff=600, max_retries=None, max_age=timedelta(seconds=3))
    def age(name: str) -> None:
        note(name)
        raise RuntimeError
"""

SEND = """
import json, sys
import retry_tasks
for actor_name, names in json.loads(sys.argv[1]).items():
    for name in names:
        getattr(retry_tasks, actor_name).send(name)
"""

ENV = {"ACTORS_MODULES": "shop_tasks,retry_tasks"}


@pytest.fixture
def attempts(project: Project) -> dict[str, list[float]]:
    """The times of all attempts, by name, once every message is dead."""
    names = {"backoff": ["doubled"], "call": ["busy", "reset", "wrong"], "order": ["rare", "common"], "age": ["old"]}
    project.write("retry_tasks", TASKS)
    with project.worker(**ENV):
        assert project.python("-c", SEND, json.dumps(names), **ENV).returncode == 0
        count = sum(map(len, names.values()))
        until(lambda: project.queues(**ENV)["default"]["dead"] == count, seconds=30, what="all dead letters")
    found: dict[str, list[float]] = {}
    for line in (project.folder / "attempts").read_text().splitlines():
        name, at = line.split()
        found.setdefault(name, []).append(float(at))
    return found


def pauses_ms(times: list[float]) -> list[float]:
    return [(after - before) * 1000 for before, after in pairwise(times)]


def test_p17_retries_back_off_and_end(attempts: dict[str, list[float]]) -> None:
    # Exponential backoff with jitter: each pause is at least the shortest, and they are not all the same
    pauses = pauses_ms(attempts["doubled"])
    assert len(pauses) == 3
    assert min(pauses) >= 99
    assert len({round(pause) for pause in pauses}) > 1

    # By exception: only those that are worth it
    assert (len(attempts["reset"]), len(attempts["wrong"])) == (2, 1)

    # By what the server says
    (pause,) = pauses_ms(attempts["busy"])
    assert pause >= 999

    # By message and number of the attempt
    assert (len(attempts["rare"]), len(attempts["common"])) == (2, 1)

    # By total time, where the number of attempts has no limit
    assert 2 <= len(attempts["old"]) <= 6
    assert attempts["old"][-1] - attempts["old"][0] < 3


def test_p17_retries_are_limited_and_spread_by_default() -> None:
    from middleware.retry_policy import RetryPolicy

    policy = RetryPolicy.of({}, "charge")

    def pauses(uniform: Any) -> list[int]:
        return [policy.backoff_ms(retries, uniform) for retries in range(5)]

    assert policy.max_retries == 5
    assert policy.jitter
    assert all(low < high for low, high in zip(pauses(min), pauses(max), strict=True))
    assert pauses(max) == sorted(pauses(max))
