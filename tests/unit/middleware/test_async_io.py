from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import dramatiq
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.brokers.stub import StubBroker

from middleware import AsyncIO

DRAMATIQ = Path(sys.executable).with_name("dramatiq")
# A module whose worker never finishes: its one attempt sits in a coroutine that nothing interrupts.
ENDLESS = """
import asyncio
import pathlib

import dramatiq
from dramatiq.brokers.stub import StubBroker
from middleware import AsyncIO

broker = StubBroker(middleware=[AsyncIO()])

@dramatiq.actor(broker=broker)
async def wait() -> None:
    pathlib.Path("started").touch()
    await asyncio.Event().wait()

wait.send()
"""


def test_the_event_loop_is_there_while_the_worker_is() -> None:
    broker = StubBroker(middleware=[AsyncIO()])
    worker = dramatiq.Worker(broker, worker_timeout=10, worker_threads=1)
    ran_on: list[threading.Thread] = []

    async def where() -> None:
        ran_on.append(threading.current_thread())

    actor = dramatiq.actor(broker=broker)(where)
    worker.start()
    loop = get_event_loop_thread()
    actor.send()
    broker.join("default", timeout=10_000)
    worker.stop()

    assert ran_on == [loop]
    assert loop is not None
    assert not loop.is_alive()
    assert get_event_loop_thread() is None


def test_a_worker_that_is_told_to_stop_twice_ends_although_a_coroutine_runs(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    command = [str(DRAMATIQ), "endless:broker", "--processes", "1", "--threads", "1"]
    with (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(lambda: (tmp_path / "started").exists())
        worker.send_signal(signal.SIGTERM)
        wait_for(lambda: "Shutting down..." in (tmp_path / "log").read_text())
        worker.send_signal(signal.SIGTERM)

        assert worker.wait(timeout=20) != 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
