from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker

from middleware import Recycle, RecycleLimits, recycle
from middleware.memory import resident_mib
from services.deadline import until

THREADS = 2


class Keeper:
    """Notes who asks to be replaced; what would be a fork is none."""

    def __init__(self) -> None:
        self.asked = 0

    def ask_to_be_replaced(self) -> None:
        self.asked += 1


class Process:
    """A worker process of the ``dramatiq`` command, but for its being one."""

    def __init__(self, limits: RecycleLimits, *, give_back: Callable[[dramatiq.Worker], None] = lambda _: None) -> None:
        self.broker = StubBroker(middleware=[Recycle(limits=lambda: limits, give_back=give_back)])
        self.worker = dramatiq.Worker(self.broker, worker_timeout=10, worker_threads=THREADS)
        self.ran: list[int] = []
        self.go = threading.Event()
        self.job = dramatiq.actor(broker=self.broker, actor_name="job")(self.ran.append)
        self.long_job = dramatiq.actor(broker=self.broker, actor_name="long_job")(lambda: self.go.wait(20))

    def boot(self) -> None:
        self.broker.emit_after("process_boot")
        self.worker.start()

    @property
    def is_drained(self) -> bool:
        return not any(thread.is_alive() for thread in self.worker.workers)


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> Keeper:
    keeper = Keeper()
    monkeypatch.setattr(recycle, "keep", lambda: keeper)
    monkeypatch.setattr(recycle, "LOOK_EVERY_S", 0.0)
    # The threads of the tests before are none of a worker process.
    monkeypatch.setattr(threading, "enumerate", lambda: [threading.current_thread()])
    return keeper


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Return a function that starts a worker process; it has stopped at the end."""
    started: list[Process] = []

    def begin(limits: RecycleLimits, **options: Callable[[dramatiq.Worker], None]) -> Process:
        started.append(Process(limits, **options))
        started[-1].boot()
        return started[-1]

    yield begin
    for each in started:
        each.go.set()
        each.worker.stop()


Start = Callable[..., Process]


def test_a_process_ends_after_its_messages_and_begins_no_more(
    start: Start, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "middleware.recycle")
    process = start(RecycleLimits(after_messages=10))
    for number in range(40):
        process.job.send(number)

    until(lambda: keeper.asked, seconds=20, what="its end")

    assert process.is_drained
    # A tenth less or more, and what the other thread had begun.
    assert 9 <= len(process.ran) <= 11 + THREADS - 1
    assert len(process.ran) == len(set(process.ran))
    assert process.broker.queues["default"].qsize() + process.worker.work_queue.qsize() == 40 - len(process.ran)
    (line,) = caplog.messages
    assert line.startswith("recycling: the most attempts are ")
    assert keeper.asked == 1


def test_processes_differ_in_how_many_messages_they_run(
    start: Start, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recycle, "_uniform", lambda least, most: most)
    monkeypatch.setattr(recycle, "SPREAD", 0.5)
    process = start(RecycleLimits(after_messages=4))
    for number in range(5):
        process.job.send(number)
    process.broker.join("default", timeout=20_000)
    assert keeper.asked == 0

    process.job.send(5)
    until(lambda: keeper.asked, seconds=20, what="its end")


def test_a_process_that_has_become_too_large_ends(
    start: Start, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "middleware.recycle")
    mib = 80.0
    monkeypatch.setattr(recycle, "resident_mib", lambda: mib)
    process = start(RecycleLimits(above_mib=100))
    for number in range(5):
        process.job.send(number)
    process.broker.join("default", timeout=20_000)
    assert keeper.asked == 0

    mib = 100.6
    process.job.send(5)
    until(lambda: keeper.asked, seconds=20, what="its end")
    (line,) = caplog.messages
    assert line == (
        "recycling: the most memory is 100 MiB; 6 attempts and 101 MiB in all; "
        "the process ends when what it runs has ended"
    )


def test_a_limit_that_a_process_is_over_at_its_start_does_not_replace_it_again_and_again(
    start: Start, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    process = start(RecycleLimits(above_mib=1))
    for number in range(5):
        process.job.send(number)
    process.broker.join("default", timeout=20_000)

    assert keeper.asked == 0
    (line,) = caplog.messages
    assert "MiB at its start, and is to be replaced above 1: its memory does not count" in line


def test_a_process_that_is_to_end_waits_for_what_runs_and_gives_back_the_rest(start: Start, keeper: Keeper) -> None:
    given: list[int] = []

    def give_back(worker: dramatiq.Worker) -> None:
        given.append(worker.work_queue.qsize())

    process = start(RecycleLimits(after_messages=1), give_back=give_back)
    process.long_job.send()
    process.job.send(1)

    until(lambda: len(given) > 2, seconds=20, what="its last job alone")
    assert process.ran == [1]
    assert keeper.asked == 0

    process.go.set()
    until(lambda: keeper.asked, seconds=20, what="its end")
    assert process.is_drained


def test_what_can_not_be_given_back_keeps_no_process_from_its_end(
    start: Start, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    def give_back(worker: dramatiq.Worker) -> None:
        raise ConnectionError("no broker")

    process = start(RecycleLimits(after_messages=1), give_back=give_back)
    process.job.send(1)
    until(lambda: keeper.asked, seconds=20, what="its end")

    assert "what has not begun goes back only with the end of this process" in caplog.messages


def test_failed_and_skipped_attempts_count(start: Start, keeper: Keeper) -> None:
    process = start(RecycleLimits(after_messages=3))
    fails = dramatiq.actor(broker=process.broker, actor_name="fails")(lambda: 1 / 0)
    for _ in range(4):
        fails.send()

    until(lambda: keeper.asked, seconds=20, what="its end")


def test_without_a_limit_nothing_forks_and_no_attempt_is_counted(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(recycle, "keep")
    process = start(RecycleLimits())

    assert [type(each).__name__ for each in process.broker.middleware] == ["Recycle", "_WorkerMiddleware"]


def test_a_process_with_threads_can_not_be_recycled_and_says_whose_they_are(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    others = [threading.current_thread(), threading.Thread(name="reporter")]
    monkeypatch.setattr(threading, "enumerate", lambda: others)
    broker = StubBroker(middleware=[Recycle(limits=lambda: RecycleLimits(after_messages=1))])

    with pytest.raises(SystemExit) as ended:
        broker.emit_after("process_boot")

    assert ended.value.code == 2
    assert "it has threads before it begins (reporter)" in caplog.text
    assert "put Recycle last" in caplog.text


def test_a_worker_outside_of_the_command_is_not_recycled_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    process = Process(RecycleLimits(after_messages=1))
    process.worker.start()
    try:
        for number in range(4):
            process.job.send(number)
        process.broker.join("default", timeout=20_000)
        process.worker.join()
        assert sorted(process.ran) == [0, 1, 2, 3]
    finally:
        process.worker.stop()
    assert caplog.messages == ["this process is not recycled: only those of the `dramatiq` command are"]


def test_the_memory_of_this_process_is_known() -> None:
    before = resident_mib()
    block = bytearray(b"x") * (64 * 2**20)
    after = resident_mib()

    assert before > 5
    assert 60 < after - before < 80, len(block)


def test_where_the_system_does_not_say_the_most_memory_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    now = resident_mib()
    monkeypatch.setattr("middleware.memory._STATM", "/no/such/file")

    assert resident_mib() > 0.5 * now
