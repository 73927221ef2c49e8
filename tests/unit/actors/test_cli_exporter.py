"""`actors exporter` on a file, and where nothing answers."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from dramatiq.errors import ConnectionFailed

from actors.metrics import exporter as module
from actors.metrics import looks
from actors.metrics.exporter import Exporter
from actors.metrics.looks import Depth, Seen
from actors.operating import Overview
from tests.unit.actors.conftest import Application

TASKS = """
    from datetime import timedelta
    from actors import actor
    from periodic import every

    @actor(periodic=every(timedelta(days=1)))
    def nightly() -> None: ...

    @actor(queue_name="reports")
    def report() -> None: ...
"""


def numbers(found: Any) -> dict[str, float]:
    return {" ".join([each["name"], *each["labels"].values()]): each["value"] for each in found["metrics"]}


def test_it_tells_of_queues_and_schedules_in_a_file(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORS_BROKER_URL", "sqlite:///actors.db")
    application.write("tasks", TASKS)
    assert application.actors("send", "report", "-m", "tasks").exit_code == 0

    now = numbers(application.json("exporter", "tasks"))

    assert now["actors_exporter_up"] == 1
    assert (now["actors_queue_messages reports ready"], now["actors_queue_messages default ready"]) == (1, 0)
    assert now["actors_schedule_next_timestamp_seconds nightly"] > datetime.now(UTC).timestamp()
    assert (now["actors_schedules_left_out"], now["actors_schedulers leading"]) == (0, 0)
    page = application.actors("exporter", "tasks", "--once")
    assert 'actors_queue_messages{queue="reports",state="ready"} 1.0\n' in page.stdout


def test_schedules_beyond_a_limit_are_counted_and_left_out(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTORS_BROKER_URL", "sqlite:///actors.db")
    monkeypatch.setattr(looks, "MOST_SCHEDULES", 1)
    application.write("tasks", TASKS)
    application.write("more", TASKS.replace("nightly", "weekly").replace("def report", "def summary"))

    now = numbers(application.json("exporter", "tasks", "more"))

    assert now["actors_schedules_left_out"] == 1
    told_of = [name for name in now if name.startswith("actors_schedule_next")]
    assert told_of == ["actors_schedule_next_timestamp_seconds nightly"]


def test_where_rabbitmq_does_not_answer_it_says_so_and_nothing_else(application: Application) -> None:
    application.write("tasks", TASKS)
    found = application.json("exporter", "tasks", "--timeout", "0.5", status=3)
    assert [each["name"] for each in found["metrics"]] == ["actors_exporter_up", "actors_exporter_look_seconds"]
    assert numbers(found)["actors_exporter_up"] == 0


def test_a_rabbitmq_that_hangs_keeps_nobody_waiting_for_long(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    application.write("tasks", TASKS)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("ACTORS_BROKER_URL", f"amqp://127.0.0.1:{silent.getsockname()[1]}/")
        began = time.monotonic()
        found = application.json("exporter", "tasks", "--timeout", "0.5", status=3)
        took_s = time.monotonic() - began
    assert numbers(found)["actors_exporter_up"] == 0
    assert took_s < 5


def test_without_an_address_it_has_nowhere_to_be_asked(application: Application) -> None:
    application.write("tasks", TASKS)
    ended = application.actors("exporter", "tasks")
    assert ended.exit_code == 2
    assert "ACTORS_HEALTH_ADDRESS is not set" in ended.output


class Broker:
    """What is looked at; may be away."""

    def __init__(self) -> None:
        self.looks: list[str] = []
        self.is_away = False

    def depths(self, *, timeout_s: float) -> list[Depth]:
        self.looks.append("depths")
        if self.is_away:
            raise ConnectionFailed("no answer in time")
        return [Depth("default", {"ready": 3, "dead": 1}, 2)]

    def rest(self, depths: Sequence[Depth], *, timeout_s: float) -> Seen:
        self.looks.append("rest")
        at = datetime(2026, 1, 1, tzinfo=UTC)
        roles = {"leading": 1, "standing by": 2}
        return Seen({"default": at}, Overview({"nightly": at, "paused": None}, {"nightly": at}, 7, roles, 1))


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker()
    monkeypatch.setattr(module, "look_at_depths", made.depths)
    monkeypatch.setattr(module, "look_at_rest", made.rest)
    return made


def told(exporter: Exporter) -> dict[str, float]:
    found = exporter.families()
    return {" ".join([each.name, *each.labels.values()]): each.value for family in found for each in family.samples}


def test_many_who_ask_have_one_look(broker: Broker) -> None:
    exporter = Exporter(timeout_s=1, fresh_s=60)
    assert told(exporter) == told(exporter)
    assert broker.looks == ["depths", "rest"]


def test_what_rabbitmq_has_to_hand_out_is_looked_at_less_often(broker: Broker) -> None:
    exporter = Exporter(timeout_s=1, fresh_s=0, rest_fresh_s=60)
    for _ in range(3):
        exporter.families()
    assert broker.looks == ["depths", "rest", "depths", "depths"]


def test_what_was_found_before_is_not_told_while_nothing_answers(broker: Broker) -> None:
    exporter = Exporter(timeout_s=1, fresh_s=0)
    before = told(exporter)
    assert before["actors_queue_messages default ready"] == 3
    assert before["actors_schedulers standing_by"] == 2
    assert (before["actors_schedulers silent"], before["actors_schedules_left_out"]) == (1, 7)
    assert "actors_schedule_next_timestamp_seconds paused" not in before

    broker.is_away = True
    assert set(told(exporter)) == {"actors_exporter_up", "actors_exporter_look_seconds"}
    assert exporter.problem() == "no answer in time"

    broker.is_away = False
    assert set(told(exporter)) == set(before)
    assert exporter.problem() == ""
