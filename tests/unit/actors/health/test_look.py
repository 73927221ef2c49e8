"""What a worker process sees when it looks at itself."""

import threading
from collections.abc import Iterator

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker

from actors.health.look import begins_nothing_more, consuming, lost_threads
from services.deadline import until


@pytest.fixture
def worker() -> Iterator[dramatiq.Worker]:
    broker = StubBroker(middleware=[])
    broker.declare_queue("default")
    worker = dramatiq.Worker(broker, worker_threads=2, worker_timeout=50)
    worker.start()
    until(lambda: all(each.running for each in worker.workers), seconds=5, what="its threads")
    yield worker
    worker.stop(timeout=5_000)


def test_a_consumer_that_is_not_ours_is_taken_to_be_well(worker: dramatiq.Worker) -> None:
    until(lambda: [each.problem for each in consuming(worker)] == ["", ""], seconds=5, what="its consumers")

    assert [(each.queue, each.turned_at_s) for each in consuming(worker)] == [("default", None), ("default.DQ", None)]
    assert lost_threads(worker) == ()
    assert not begins_nothing_more(worker)


def test_a_thread_that_has_died_is_lost_and_one_that_was_told_to_end_is_not(
    worker: dramatiq.Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    worker.work_queue.put(None)  # type: ignore[arg-type]
    until(lambda: lost_threads(worker), seconds=5, what="a thread that has died")
    assert len(lost_threads(worker)) == 1
    assert lost_threads(worker)[0] in {"worker thread 1", "worker thread 2"}

    [other] = [each for each in worker.workers if each.is_alive()]
    other.stop()
    other.join()
    assert len(lost_threads(worker)) == 1
    assert begins_nothing_more(worker)


def test_a_paused_worker_says_so(worker: dramatiq.Worker) -> None:
    worker.pause()

    assert {each.problem for each in consuming(worker)} == {"it is paused"}
    worker.resume()
