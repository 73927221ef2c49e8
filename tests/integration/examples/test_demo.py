"""The demo, on fewer orders and both brokers: it counts, fails when it should, and leaves nothing behind."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from examples.shop import books
from services.deadline import until

ORDERS = 200
ACTORS = {"take_order", "charge", "reserve_stock", "send_receipt"}
DEMO = [sys.executable, "-m", "examples.demo", "--orders", str(ORDERS)]
# Where the jobs are, and how many processes that takes at least: the demo itself, its warden, and two workers of two
# each; RabbitMQ, its port mapper, and Redis.
PLACES = {"sqlite": ("one SQLite file, /", 6), "rabbitmq": ("RabbitMQ", 9)}

any_broker = pytest.mark.parametrize("broker", PLACES)


@any_broker
def test_no_job_is_lost_when_a_worker_is_killed_in_the_middle(broker: str) -> None:
    done = subprocess.run([*DEMO, "--json", "--broker", broker], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"The jobs are in {PLACES[broker][0]}" in done.stderr
    shown = json.loads(done.stdout)
    assert ORDERS <= shown["killed_after"] < shown["jobs"]
    # In no order: a job may have run, and sent the next, before its own sender notes that it has sent it.
    assert {row["actor"] for row in shown["table"]} == ACTORS
    assert len(shown["table"]) == len(ACTORS)
    assert {(row["sent"], row["run"], row["lost"]) for row in shown["table"]} == {(ORDERS, ORDERS, 0)}
    assert sum(shown["runs"].values()) == shown["run"] + shown["again"] == ORDERS * len(ACTORS) + shown["again"]
    assert all(shown["runs"][worker] > 0 for worker in ("worker 1", "worker 2"))
    assert shown["again"] <= shown["maybe_ran"]
    assert (shown["untold"], shown["payments"]) == (0, ORDERS)


def test_a_run_that_comes_again_and_was_not_told_is_counted_apart(tmp_path: Path) -> None:
    path = tmp_path / "books.db"
    assert books.counts(path) == []
    runs = {"once": [0], "told": [0, 1], "told-at-once": [1], "untold": [0, 0], "one-untold": [0, 1, 0], "lost": []}
    with closing(sqlite3.connect(path)) as db, db:
        for order, told in runs.items():
            db.execute("INSERT INTO sent VALUES ('charge', 'payments', ?)", (order,))
            db.executemany("INSERT INTO run VALUES ('charge', ?, 'worker', ?)", [(order, each) for each in told])
    (count,) = books.counts(path)
    assert count == books.Count("charge", "payments", sent=6, run=5, again=4, maybe_ran=3, untold=2)
    assert count.lost == 1


def test_jobs_that_have_not_run_in_time_make_it_fail() -> None:
    done = subprocess.run([*DEMO, "--deadline", "0.5"], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "Not shown:" in done.stdout
    assert "Shown:" not in done.stdout


def test_it_needs_no_server_unless_one_is_asked_for() -> None:
    env = os.environ | {
        "PATH": "/nowhere",
        "ACTORS_BROKER_URL": "amqp://127.0.0.1:1/",
        "ACTORS_STORE_URL": "redis://127.0.0.1:1",
    }
    done = subprocess.run([*DEMO, "--json"], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@any_broker
@pytest.mark.parametrize(("ending", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_nothing_outlives_it(tmp_path: Path, broker: str, ending: signal.Signals, status: int) -> None:
    env = os.environ | {"TMPDIR": str(tmp_path), "ACTORS_TEST_FOLDER": "", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([*DEMO, "--broker", broker], env=env, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        assert any("of 800 jobs" in line for line in demo.stdout)
        assert len(within(tmp_path)) >= PLACES[broker][1]
        demo.send_signal(ending)
        demo.stdout.read()
    assert demo.returncode == status
    until(lambda: not within(tmp_path), seconds=10, what="the end of every process")
    until(lambda: not list(tmp_path.iterdir()), seconds=10, what="the removal of every folder")


def within(folder: Path) -> list[str]:
    """The processes that have *folder* in their environment."""
    table = subprocess.run(["ps", "axeww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return [line for line in table.splitlines() if str(folder) in line]
