from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from dramatiq.asyncio import EventLoopThread, get_event_loop_thread
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Interrupt, Shutdown, raise_thread_exception

from middleware import AsyncIO
from middleware.async_io import LoopThread

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


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    thread = LoopThread(logging.getLogger(__name__), interrupt_check_ival=0.01)
    thread.daemon = True
    thread.start(timeout=5)
    yield thread
    EventLoopThread.stop(thread)


def test_an_interrupt_more_does_not_end_the_wait_for_a_coroutine(loop: LoopThread) -> None:
    started, may_end, ended = threading.Event(), threading.Event(), threading.Event()
    raised: list[BaseException] = []

    async def clean_up() -> None:
        try:
            started.set()
            await asyncio.sleep(60)
        finally:
            while not may_end.is_set():
                await asyncio.sleep(0.01)
            ended.set()

    def attempt() -> None:
        try:
            loop.run_coroutine(clean_up())
        except Interrupt as error:
            assert ended.is_set()
            raised.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    assert started.wait(20)
    for _ in range(3):
        raise_thread_exception(thread.ident, Shutdown)
        time.sleep(0.05)
    may_end.set()
    thread.join(20)

    assert [type(each) for each in raised] == [Shutdown]


def test_a_coroutine_that_begins_before_its_thread_knows_is_cancelled_too(
    loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, cancelled = threading.Event(), threading.Event()

    async def job() -> None:
        try:
            started.set()
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def interrupted(coroutine: Any, to: asyncio.AbstractEventLoop) -> None:
        to.call_soon_threadsafe(lambda: tasks.append(to.create_task(coroutine)))
        assert started.wait(20)
        monkeypatch.undo()
        raise Shutdown

    tasks: list[asyncio.Task[None]] = []
    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", interrupted)
    with pytest.raises(Shutdown):
        loop.run_coroutine(job())
    assert cancelled.is_set()


def test_a_coroutine_of_which_the_loop_was_never_told_is_not_waited_for(
    loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def job() -> None: ...

    def interrupted(_: EventLoopThread, coro: object) -> None:
        raise Shutdown

    monkeypatch.setattr(EventLoopThread, "run_coroutine", interrupted)
    with pytest.raises(Shutdown):
        loop.run_coroutine(job())


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
