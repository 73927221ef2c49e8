"""An idle worker sleeps, and a message wakes it at once."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from middleware.stores.sqlite import SqliteFile
from services.deadline import until
from tests.integration.embedded.conftest import Declare, EmbeddedBroker, working

SENDS = 20
# What is promised is 20 ms on a machine that does nothing else; here others work, too.
MOST_MS = 100.0
IDLE_S = 5.0
# What is promised is 1 % of a core.
MOST_CPU_S = 0.01 * IDLE_S

PRODUCER = """
    import sys, time
    from actors.brokers.broker import Broker
    from actors.brokers.sqlite import SCHEMA, SqliteEngine, SqliteOptions
    from actors.decorator import Actor
    from middleware.stores.sqlite import SqliteFile

    engine = SqliteEngine(SqliteOptions(SqliteFile(sys.argv[1], schema=SCHEMA)))
    broker = Broker(lambda: engine, middleware=[])
    def job(sent: float) -> None: ...
    actor = Actor(job, broker=broker, actor_name="job", queue_name="default", priority=0, options={})
    broker.declare_queue("default", ensure=True)
    print("ready", flush=True)
    for line in sys.stdin:
        actor.send(time.time())
"""


@contextmanager
def producing(path: Path) -> Iterator[Callable[[], None]]:
    """Let another process send a message to ``job``, with the time, for each call."""
    command = [sys.executable, "-c", textwrap.dedent(PRODUCER), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as producer:
        assert producer.stdin is not None
        assert producer.stdout is not None
        assert producer.stdout.readline() == "ready\n"
        stdin = producer.stdin

        def send() -> None:
            stdin.write("\n")
            stdin.flush()

        yield send
        stdin.close()


def test_a_message_of_another_process_starts_at_once(
    broker: EmbeddedBroker, declare: Declare, file: SqliteFile
) -> None:
    waited_ms: list[float] = []

    def job(sent: float) -> None:
        waited_ms.append((time.time() - sent) * 1000)

    declare(broker, job)
    with working(broker), producing(file.path) as send:
        for number in range(SENDS):
            send()
            until(lambda: len(waited_ms) > number, seconds=10, what="the job")  # noqa: B023

    assert statistics.median(waited_ms) < MOST_MS


def test_so_does_one_that_becomes_due(broker: EmbeddedBroker, declare: Declare) -> None:
    late_ms: list[float] = []

    def job(due: float) -> None:
        late_ms.append((time.time() - due) * 1000)

    actor = declare(broker, job)
    with working(broker):
        for number in range(5):
            actor.send_with_options(args=(time.time() + 0.2,), delay=200)
            until(lambda: len(late_ms) > number, seconds=10, what="the job")  # noqa: B023

    assert min(late_ms) > -1.0
    assert statistics.median(late_ms) < MOST_MS


def test_a_worker_that_cannot_hear_looks_often_enough(
    broker: EmbeddedBroker, declare: Declare, caplog: pytest.LogCaptureFixture
) -> None:
    waited_ms: list[float] = []

    def job(sent: float) -> None:
        waited_ms.append((time.time() - sent) * 1000)

    actor = declare(broker, job)
    folder = broker.engine._bell.folder
    folder.mkdir(mode=0o700)
    folder.chmod(0o777)
    try:
        with working(broker):
            for number in range(5):
                actor.send(time.time())
                until(lambda: len(waited_ms) > number, seconds=10, what="the job")  # noqa: B023
    finally:
        folder.rmdir()

    assert statistics.median(waited_ms) < 2 * MOST_MS
    assert "rings can't be heard" in caplog.text


IDLE = """
    import sys, time
    import dramatiq
    from actors.assembly import middleware, swap_store
    from actors.brokers.broker import Broker
    from actors.brokers.sqlite import SCHEMA, SqliteEngine, SqliteOptions
    from actors.decorator import Actor
    from middleware.stores.sqlite import SCHEMA as STORE_SCHEMA, SqliteFile, SqliteStore

    file = SqliteFile(sys.argv[1], schema=[*STORE_SCHEMA, *SCHEMA])
    swap_store(SqliteStore(file))
    engine = SqliteEngine(SqliteOptions(file))
    broker = Broker(lambda: engine, middleware=middleware()[1:])
    def job(number: int) -> None: ...
    actor = Actor(job, broker=broker, actor_name="job", queue_name="default", priority=0, options={})
    broker.enqueue_many(actor.message(number) for number in range(20))
    # As the command has it, but for the number of threads.
    worker = dramatiq.Worker(broker, worker_threads=8, worker_timeout=1000)
    worker.start()
    broker.join("default")
    before = time.process_time()
    time.sleep(float(sys.argv[2]))
    print(time.process_time() - before)
    worker.stop()
"""


def test_an_idle_worker_uses_hardly_any_time_of_a_core(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(IDLE), str(tmp_path / "idle.db"), str(IDLE_S)]
    done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True, env={**os.environ})

    assert float(done.stdout) < MOST_CPU_S
