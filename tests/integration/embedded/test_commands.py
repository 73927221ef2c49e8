"""The commands of an application that has no server: everything is in one file."""

import os
import signal
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from services.deadline import until
from tests.integration.embedded.machine import Machine
from tests.warm import warm

SEND = "from shop_tasks import charge; print(charge.send(42).get_result(block=True, timeout=20_000))"

IN_TRANSACTION = """
import sqlite3, sys
from actors import in_transaction
from shop_tasks import charge
connection = sqlite3.connect("jobs.db")
connection.execute("CREATE TABLE IF NOT EXISTS orders (number INTEGER)")
try:
    with in_transaction(connection), connection:
        connection.execute("INSERT INTO orders VALUES (?)", (int(sys.argv[1]),))
        charge.send(int(sys.argv[1]))
        if sys.argv[2] == "fails":
            raise LookupError
except LookupError:
    pass
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_with_nothing_set_jobs_run_without_a_server_and_where_they_are_is_said_loudly(machine: Machine) -> None:
    del machine.project.env["ACTORS_BROKER_URL"]
    with machine.worker() as log:
        assert machine.python(SEND) == "42"
    assert machine.ran("charge") == {"42": 1}
    assert (machine.folder / "actors.db").exists()
    lines = [line for line in log.read_text().splitlines() if "ACTORS_BROKER_URL is not set" in line]
    assert len(lines) == 1
    assert f"sqlite:///{machine.folder}/actors.db" in lines[0]


def test_in_production_a_worker_that_is_told_of_no_broker_does_not_start(machine: Machine) -> None:
    del machine.project.env["ACTORS_BROKER_URL"]
    ended = machine.project.python("-m", "dramatiq", "actors", "--processes", "1", ACTORS_ENV="production")
    assert ended.returncode != 0
    assert "ACTORS_ENV=production and no ACTORS_BROKER_URL" in ended.stderr
    assert not (machine.folder / "actors.db").exists()


def test_what_is_sent_within_a_transaction_of_the_application_is_a_part_of_it(machine: Machine) -> None:
    with machine.worker():
        for number, how in (("1", "fails"), ("2", "succeeds")):
            ended = machine.project.python("-c", IN_TRANSACTION, number, how)
            assert ended.returncode == 0, ended.stderr
        until(lambda: machine.ran("charge"), seconds=20, what="the job")
        until(lambda: machine.left() == 0, seconds=20, what="an empty file")
    assert machine.ran("charge") == {"2": 1}
    with closing(sqlite3.connect(machine.folder / "jobs.db")) as connection:
        assert connection.execute("SELECT number FROM orders").fetchall() == [(2,)]


def test_the_job_of_a_worker_that_is_killed_runs_again_and_knows(machine: Machine) -> None:
    env = {"ACTORS_IDEMPOTENCY_LEASE_MS": "1000"}
    command = ("-m", "dramatiq", "actors", "--processes", "1", "--threads", "1")
    log = machine.folder / "killed.log"
    killed = warm().start(*command, env=machine.project.env | env, log=log, cwd=machine.folder)
    try:
        machine.python("from shop_tasks import hold; hold.send(1)", **env)
        until(lambda: machine.ran("hold"), seconds=30, what="its start")
    finally:
        killed.kill_group()
        killed.wait()
    with machine.worker(**env):
        until(lambda: machine.left() == 0, seconds=40, what="the end of the job")
    assert machine.ran("hold") == {"1 False": 1, "1 True": 1}


def test_each_tick_runs_once_though_the_leader_is_killed(machine: Machine) -> None:
    def pid_of_leader() -> int:
        return int(machine.leader()["replica"].rpartition(":")[2])

    with machine.worker(), machine.worker():
        logs = [machine.folder / f"scheduler-{number}.log" for number in range(3)]
        start = partial(warm().start, "-m", "periodic", env=machine.project.env, cwd=machine.folder)
        schedulers = [start(log=log) for log in logs]
        try:
            for enough in (5, 15):
                until(lambda enough=enough: len(machine.ran("pulse")) >= enough, seconds=30, what="ticks")  # type: ignore[misc]
                os.kill(pid_of_leader(), signal.SIGKILL)
            until(lambda: len(machine.ran("pulse")) >= 25, seconds=30, what="ticks of the last one")
        finally:
            for each in schedulers:
                each.terminate()
            statuses = sorted(each.wait(20) for each in schedulers)
        assert statuses == [-signal.SIGKILL, -signal.SIGKILL, 0]
        until(lambda: machine.left() == 0, seconds=20, what="an empty file")

    ticks = machine.ran("pulse")
    assert set(ticks.values()) == {1}
    times = sorted(map(datetime.fromisoformat, ticks))
    assert times == [times[0] + number * timedelta(milliseconds=200) for number in range(len(times))]


def test_an_operator_sees_and_changes_the_schedules_of_a_file(machine: Machine) -> None:
    with machine.worker(), machine.scheduler():
        until(lambda: len(machine.ran("pulse")) >= 3, seconds=30, what="ticks")
        [row] = machine.periodic("list")["schedules"]
        assert (row["schedule"], row["paused"], row["last"]["outcome"]) == ("pulse", False, "done")

        machine.periodic("pause", "pulse")
        [row] = machine.periodic("list")["schedules"]
        assert (row["paused"], row["next"]) == (True, None)
        machine.periodic("resume", "pulse")

        machine.periodic("add", "nightly", "--actor", "charge", "--cron", "0 3 * * *", "--args", "[7]")
        machine.periodic("trigger", "nightly")
        until(lambda: machine.ran("charge") == {"7": 1}, seconds=20, what="the run that was triggered")
        events = machine.periodic("history", "pulse")["events"]
        assert {"done", "missed"} == {event["outcome"] for event in events}
    # Without a leader it is said what the file has.
    assert [row["schedule"] for row in machine.periodic("list")["schedules"]] == ["nightly", "pulse"]
    assert machine.standing()["leader"] is None


def test_what_a_scheduler_answers_to_probes_does_not_speak_of_rabbitmq(machine: Machine) -> None:
    with machine.scheduler():
        leader = machine.leader()
    assert leader["ready"]
    assert {check["name"] for check in leader["checks"]} == {"loop", "role", "consumers"}
