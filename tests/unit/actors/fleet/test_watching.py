"""A look each second costs no more than a tenth of it, whatever there is to look at."""

from __future__ import annotations

from typing import Any

import pytest
from dramatiq.errors import ConnectionFailed

from actors.fleet import Interest
from actors.fleet.deployment import QueueState
from actors.fleet.lookout import Lookout
from actors.fleet.memory import MemoryFleet
from actors.fleet.watching import SCHEDULERS_EVERY_S, Watching
from actors.operating import Standing
from tests.unit.actors.conftest import Application
from tests.unit.actors.fleet.scene import report

QUEUE = QueueState("default", 0, 0, None, 0, 1)


class Scene:
    """What there is to see, and how long that takes."""

    def __init__(self, fleet: MemoryFleet) -> None:
        self.fleet = fleet
        self.time_s = 100.0
        self.takes_s = 0.0
        self.is_down = False
        self.looks: list[str] = []

    def queues(self, *_: Any) -> list[QueueState]:
        self.looks.append("queues")
        self.time_s += self.takes_s
        if self.is_down:
            raise ConnectionFailed("amqp://shop:***@127.0.0.1:1/: refused")
        return [QUEUE]

    def schedulers(self) -> Standing:
        self.looks.append("schedulers")
        return Standing([], 0, None, "")


@pytest.fixture
def scene(application: Application, monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = Scene(MemoryFleet())
    for module in ("lookout", "watching"):
        monkeypatch.setattr(f"actors.fleet.{module}.fleet", lambda: scene.fleet)
    monkeypatch.setattr(Lookout, "queues", lambda _, workers: scene.queues(workers))
    monkeypatch.setattr(Lookout, "schedulers", lambda _: scene.schedulers())
    return scene


@pytest.fixture
def watching(scene: Scene) -> Watching:
    return Watching(2.0, lambda: scene.time_s)


def looks(scene: Scene, watching: Watching, seconds: int) -> list[str]:
    scene.looks.clear()
    for _ in range(seconds):
        watching.look()
        scene.time_s += 1
    return scene.looks


def test_what_is_quick_is_looked_at_each_second_and_schedulers_more_seldom(scene: Scene, watching: Watching) -> None:
    seen = looks(scene, watching, 10)
    assert seen.count("queues") == 10
    assert seen.count("schedulers") == 10 / SCHEDULERS_EVERY_S


def test_what_is_slow_is_looked_at_a_tenth_of_the_time(scene: Scene, watching: Watching) -> None:
    scene.takes_s = 0.5
    assert looks(scene, watching, 8).count("queues") == 2
    assert list(watching.look().queues or ()) == [QUEUE]


def test_an_outage_is_shown_until_the_next_look_and_is_then_over(scene: Scene, watching: Watching) -> None:
    scene.is_down = True
    seen = watching.look()
    assert (seen.queues, [each.is_outage for each in seen.problems]) == (None, [True, False])
    scene.is_down = False
    scene.time_s += 1
    assert watching.look().queues == [QUEUE]


def test_workers_are_asked_to_tell_more_often_if_there_are_any(scene: Scene, watching: Watching) -> None:
    watching.look()
    assert scene.fleet.interest() == Interest()
    scene.fleet.beat("m", report().encode(), keep_ms=300_000)
    assert [each.report.pid for each in watching.look().workers or ()] == [7]
    assert scene.fleet.interest() == Interest(watched=True)


def test_where_nothing_is_known_it_can_not_be_said_that_all_is_well(application: Application) -> None:
    [problem] = Lookout(1.0).judge([], [])
    assert problem.level == "error"
    assert problem.advice == "name the modules of actors: actors status shop.tasks"
    assert Lookout(1.0).judge([], [QUEUE]) == []
    assert Lookout(1.0).judge(None, None) == []
