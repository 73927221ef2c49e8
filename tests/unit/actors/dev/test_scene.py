"""What is seen of what has happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

from rich.console import Console

from actors.dev.scene import MOST_FINISHED, Scene
from actors.dev.view import render

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


def state(process: str, state: str, why: str = "") -> dict[str, Any]:
    return {"event": "state", "process": process, "state": state, "why": why}


def started(number: int, actor: str = "charge") -> dict[str, Any]:
    return {"event": "started", "message_id": f"id-{number}", "actor": actor, "queue": "default", "attempt": 1}


def ended(number: int, outcome: str = "done", **fields: Any) -> dict[str, Any]:
    more = {"outcome": outcome, "duration_ms": 12.3, **fields}
    return {**started(number), "event": "ended", **more}


def queue(name: str, *counts: int) -> dict[str, Any]:
    return {"event": "queue", "queue": name, **dict(zip(("ready", "delayed", "dead"), counts, strict=True))}


def schedules(*names: str, leads: bool = True) -> dict[str, Any]:
    coming = [{"schedule": name, "time": (NOW + timedelta(minutes=5)).isoformat()} for name in names]
    return {"event": "schedules", "process": "scheduler", "leads": leads, "leader": "other:1", "next": coming}


def shown(scene: Scene, now_s: float = 0.0) -> list[str]:
    console = Console(file=StringIO(), width=120, highlight=False)
    with console.capture() as capture:
        console.print(render(scene, "actors dev shop", now_s, NOW))
    return [" ".join(line.split()) for line in capture.get().splitlines() if line.strip()]


def test_an_attempt_runs_until_it_has_ended() -> None:
    scene = Scene()
    scene.follow([started(1), started(2)], now_s=1)
    scene.follow([ended(1)], now_s=3)
    assert list(scene.running) == ["id-2"]
    assert [(each.message_id, each.outcome, each.at_s) for each in scene.finished] == [("id-1", "done", 3)]


def test_an_attempt_that_never_began_is_seen_when_it_has_ended() -> None:
    scene = Scene()
    scene.follow([ended(1, "duplicate")], now_s=1)
    assert [each.outcome for each in scene.finished] == ["duplicate"]


def test_only_the_newest_are_kept() -> None:
    scene = Scene()
    scene.follow([ended(number) for number in range(100)], now_s=1)
    assert [each.message_id for each in scene.finished] == [
        f"id-{number}" for number in range(100 - MOST_FINISHED, 100)
    ]


def test_the_end_of_its_worker_cuts_an_attempt_off() -> None:
    scene = Scene()
    scene.follow([started(1)], now_s=1)
    scene.follow([state("worker", "stopping")], now_s=2)
    assert list(scene.running) == ["id-1"]
    scene.follow([state("worker", "waiting", "killed by signal 9")], now_s=3)
    assert scene.running == {}
    [attempt] = scene.finished
    assert (attempt.outcome, attempt.duration_ms) == ("cut off", 2_000)


def test_a_new_worker_has_queues_of_its_own_to_tell_of() -> None:
    scene = Scene()
    scene.follow([queue("old", 1, 2, 3), state("worker", "broken")], now_s=1)
    assert scene.queues == {"old": (1, 2, 3)}
    scene.follow([state("worker", "starting"), queue("new", 0, 0, 0)], now_s=2)
    assert scene.queues == {"new": (0, 0, 0)}


def test_ticks_come_only_while_the_scheduler_is_ready() -> None:
    scene = Scene()
    scene.follow([state("scheduler", "ready"), schedules("daily")], now_s=1)
    assert scene.coming == [("daily", NOW + timedelta(minutes=5))]
    scene.follow([state("scheduler", "stopping")], now_s=2)
    assert scene.coming == []


def test_the_view_has_a_row_for_each() -> None:
    scene = Scene()
    scene.follow(
        [
            state("worker", "ready"),
            state("scheduler", "waiting", "exit status 1; started again in 2 s"),
            queue("default", 1_234, 5, 0),
            started(1, "import_catalogue"),
            ended(2, "retried", error_type="ValueError", error="no [red]price[/red]\x1b[2J"),
            schedules("daily"),
        ],
        now_s=0,
    )
    assert shown(scene, now_s=65) == [
        "actors dev shop",
        "worker ready 1m5s",
        "scheduler waiting 1m5s exit status 1; started again in 2 s",
        "QUEUE READY DELAYED DEAD",
        "default 1,234 5 0",
        "RUNNING MESSAGE ATTEMPT FOR",
        "import_catalogue id-1 1 1m5s",
        "FINISHED MESSAGE ATTEMPT OUTCOME TOOK AGO",
        # What an application says can neither colour nor command the terminal.
        r'charge id-2 1 retried 12ms 1m5s "ValueError: no [red]price[/red]\u001b[2J"',
        "NEXT TICK IN AT",
        f"daily 5m {(NOW + timedelta(minutes=5)).astimezone():%Y-%m-%d %H:%M:%S}",
    ]


def test_the_view_says_who_leads_where_another_does() -> None:
    scene = Scene()
    scene.follow([state("scheduler", "ready"), schedules(leads=False)], now_s=0)
    assert shown(scene) == ["actors dev shop", "scheduler ready 0s another leads: other:1"]


def test_the_view_keeps_within_a_screen() -> None:
    scene = Scene()
    scene.follow([started(number) for number in range(100)], now_s=0)
    scene.follow([queue(f"queue{number:03}", 0, 0, 0) for number in range(100)], now_s=0)
    lines = shown(scene)
    assert lines.count("and 92 more") == 2
    assert len(lines) < 24
