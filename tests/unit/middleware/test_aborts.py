"""What becomes of messages that are aborted: while they wait, while they run, and when others have their key."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest
from dramatiq.results import ResultFailure

import actors
from actors import Abort, actor, assembly
from actors.testing import StubBroker, drain, enqueued
from middleware import AttemptLog, Attempts, TickRun, TickRuns, aborts
from middleware.keys import digest
from middleware.letter import replayed
from middleware.results import ResultAborted
from middleware.stores import Ending, MemoryStore, StoreUnavailable
from services.deadline import until
from tests.conformance.stores.subject import LONG, claim, finish


class Fragile(MemoryStore):
    """A store that can be silent."""

    silent = False

    def aborts(self, *args: Any, **options: Any) -> list[tuple[str, int]]:
        self._answer()
        return super().aborts(*args, **options)

    def abort(self, *args: Any) -> Abort:
        self._answer()
        return super().abort(*args)

    def _answer(self) -> None:
        if self.silent:
            raise StoreUnavailable("it is silent")


class Job:
    """An actor ``job`` that runs until it is let go, or interrupted."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.let_go = False
        self.ran: list[int] = []
        self.interrupted: list[str] = []

    def work(self, number: int) -> int:
        self.started.release()
        try:
            until(lambda: self.let_go, seconds=5, what="leave to end")
        except BaseException as error:
            self.interrupted.append(type(error).__name__)
            raise
        self.ran.append(number)
        return number


@pytest.fixture
def store(stub_broker: StubBroker, monkeypatch: pytest.MonkeyPatch) -> Fragile:
    monkeypatch.setattr(aborts, "INTERVAL_S", 0.01)
    monkeypatch.setattr(attempt_log(stub_broker), "counts", Counter())
    store = Fragile()
    assembly.swap_store(store)
    return store


@pytest.fixture
def job(store: Fragile) -> Job:
    job = Job()
    declare(job.work)
    return job


@pytest.fixture
def worker(stub_broker: StubBroker, store: Fragile, job: Job) -> Iterator[dramatiq.Worker]:
    worker = dramatiq.Worker(stub_broker, worker_timeout=10, worker_threads=1)
    worker.start()
    yield worker
    job.let_go = True
    worker.stop()


def declare(fn: Callable[..., Any], **options: Any) -> Any:
    dramatiq.get_broker().actors.pop("job", None)
    return actor(**{"actor_name": "job", "max_retries": 3, **options})(fn)


def send(number: int = 1, **options: Any) -> actors.Message[Any]:
    sent: actors.Message[Any] = (
        dramatiq.get_broker()
        .get_actor("job")
        .send_with_options(  # type: ignore[assignment]
            args=(number,), **options
        )
    )
    return sent


def outcomes(stub_broker: StubBroker) -> dict[str, int]:
    return dict(attempt_log(stub_broker).counts)


def attempt_log(stub_broker: StubBroker) -> AttemptLog:
    [attempts] = [each for each in stub_broker.middleware if isinstance(each, Attempts)]
    [log] = [each for each in attempts.listeners if isinstance(each, AttemptLog)]
    return log


def no_luck(number: int) -> None:
    raise ValueError("no luck")


# Those that wait.


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_message_that_waits_in_its_queue_does_not_run(stub_broker: StubBroker, job: Job, idempotent: bool) -> None:
    job.let_go = True
    declare(job.work, idempotent=idempotent)
    message = send()
    assert message.abort() is (Abort.WAITING if idempotent else Abort.UNKNOWN)
    assert [attempt.outcome for attempt in drain().attempts] == ["aborted"]
    assert (job.ran, enqueued(), outcomes(stub_broker)) == ([], [], {"aborted": 1})


def test_a_delayed_message_does_not_run_when_it_is_due(job: Job) -> None:
    message = send(delay=LONG)
    assert message.abort() is Abort.WAITING
    assert drain().attempts == ()
    assert [attempt.outcome for attempt in drain(with_delays=True).attempts] == ["aborted"]


def test_a_message_between_two_attempts_is_not_tried_again(store: Fragile) -> None:
    declare(no_luck)
    message = send()
    assert drain(raises=False).retried == 1
    assert message.abort() is Abort.WAITING
    assert [attempt.outcome for attempt in drain(with_delays=True).attempts] == ["aborted"]
    assert enqueued() == []


def test_the_line_of_an_aborted_message_says_so(
    stub_broker: StubBroker, job: Job, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="middleware.attempt_log")
    message = send()
    message.abort()
    drain()
    [line] = [record for record in caplog.records if record.name == "middleware.attempt_log"]
    about = vars(line)["attempt"]
    assert (about["outcome"], about["message_id"], line.levelname) == ("aborted", message.message_id, "INFO")


def test_its_result_is_an_error_that_says_so(job: Job) -> None:
    message = send()
    message.abort()
    drain()
    with pytest.raises(ResultAborted, match="it was aborted") as caught:
        message.get_result(block=True)
    assert isinstance(caught.value, ResultFailure)


def test_who_waits_for_its_failure_is_told(job: Job) -> None:
    told: list[Any] = []
    actor(actor_name="hear")(lambda message, failure: told.append((message["message_id"], failure["reason"])))
    message = send(on_failure="hear")
    message.abort()
    assert [attempt.outcome for attempt in drain().attempts] == ["aborted", "done"]
    assert told == [(message.message_id, "aborted")]


def test_a_group_with_an_aborted_member_never_completes_and_its_results_say_why(job: Job) -> None:
    job.let_go = True
    completed: list[str] = []
    actor(actor_name="complete")(lambda: completed.append("all"))
    broker = dramatiq.get_broker()
    group = dramatiq.group(broker.get_actor("job").message(number) for number in range(3))
    group.add_completion_callback(broker.get_actor("complete").message())
    group.run()
    actors.abort(group.children[1])
    drain()
    assert (job.ran, completed) == ([0, 2], [])
    with pytest.raises(ResultAborted):
        list(group.get_results(block=True, timeout=100))


def test_a_copy_of_an_aborted_message_does_not_run(stub_broker: StubBroker, job: Job) -> None:
    message = send()
    message.abort()
    drain()
    stub_broker.enqueue(message)
    assert [attempt.outcome for attempt in drain().attempts] == ["aborted"]


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_replay_after_the_abort_runs(stub_broker: StubBroker, job: Job, idempotent: bool) -> None:
    job.let_go = True
    declare(job.work, idempotent=idempotent)
    message = send()
    message.abort()
    drain()
    stub_broker.enqueue(message.copy(**replayed(message, now=time.time_ns() // 1_000_000 + 1)))
    assert drain().done == 1
    assert job.ran == [1]


def test_an_abort_twice_is_one(job: Job) -> None:
    message = send()
    assert [message.abort(), message.abort()] == [Abort.WAITING, Abort.WAITING]
    assert [attempt.outcome for attempt in drain().attempts] == ["aborted"]
    assert message.abort() is Abort.ENDED


def test_only_the_aborted_message_of_a_key_ends_and_the_key_stays_the_others(job: Job) -> None:
    job.let_go = True
    declare(job.work, idempotency_key="the one", on_duplicate="wait")
    held = claim(assembly.store(), key="the one", owner="other", digest=digest("job", "the one"))
    message = send()
    assert message.abort() is Abort.UNKNOWN
    assert [attempt.outcome for attempt in drain().attempts] == ["aborted"]
    record = assembly.store().inspect(digest("job", "the one"))
    assert record is not None
    assert (record.owner, record.state) == ("other", "running")
    assert finish(assembly.store(), held, Ending.DONE)


def test_a_tick_that_is_aborted_between_two_attempts_frees_the_slot_of_its_schedule(
    stub_broker: StubBroker, monkeypatch: pytest.MonkeyPatch, store: Fragile
) -> None:
    runs: list[TickRun] = []
    [recorder] = [each for each in stub_broker.middleware if isinstance(each, TickRuns)]
    monkeypatch.setattr(recorder, "_record", lambda _, __, record: runs.append(TickRun.decode(record)))
    about = {"schedule": "nightly", "time": "2030-01-01T09:00:00+00:00", "overlap": "skip"}
    message = declare(no_luck).message(1)
    message = message.copy(options={"tick": about})
    stub_broker.enqueue(message)
    drain(raises=False)
    slot = store.inspect(digest("overlap:slot", "nightly"))
    assert slot is not None
    assert (slot.state, slot.owner) == ("waiting", message.message_id)

    assert actors.abort(message) is Abort.WAITING
    drain(with_delays=True)
    slot = store.inspect(digest("overlap:slot", "nightly"))
    assert slot is not None
    assert slot.state == "released"
    assert [(run.outcome, run.error) for run in runs] == [
        ("failed", f"Aborted: message {message.message_id} was aborted")
    ]


# What an abort is told.


def test_an_id_alone_is_enough(job: Job) -> None:
    declare(no_luck)
    message = send()
    drain(raises=False)
    assert actors.abort(message.message_id) is Abort.WAITING
    assert actors.abort("nobody's") is Abort.UNKNOWN


def test_a_message_that_is_done_has_ended(job: Job) -> None:
    job.let_go = True
    message = send()
    drain()
    assert message.abort() is Abort.ENDED
    assert message.get_result() == 1


def test_a_message_with_a_key_of_its_own_is_found_by_its_id(job: Job) -> None:
    declare(no_luck, idempotency_key="k{number}")
    message = send()
    drain(raises=False)
    assert actors.abort(message.message_id) is Abort.WAITING
    assert message.abort() is Abort.WAITING


def test_an_abort_without_the_store_says_what_to_do(store: Fragile, job: Job) -> None:
    message = send()
    store.silent = True
    with pytest.raises(StoreUnavailable, match="may run on; abort it again later: it is silent"):
        message.abort()


# Those that run.


@pytest.mark.parametrize("idempotent", [True, False])
def test_an_attempt_that_runs_is_interrupted_and_not_tried_again(
    stub_broker: StubBroker, worker: dramatiq.Worker, job: Job, idempotent: bool
) -> None:
    declare(job.work, idempotent=idempotent)
    message = send()
    assert job.started.acquire(timeout=30)
    assert message.abort() is (Abort.RUNNING if idempotent else Abort.UNKNOWN)
    until(lambda: outcomes(stub_broker) == {"aborted": 1}, seconds=5, what="the end of the attempt")
    assert (job.interrupted, job.ran, enqueued()) == (["Aborted"], [], [])
    if idempotent:
        assert message.abort() is Abort.ENDED
        with pytest.raises(ResultAborted):
            message.get_result()


def test_an_async_attempt_is_cancelled(stub_broker: StubBroker, worker: dramatiq.Worker, job: Job) -> None:
    async def work(number: int) -> None:
        job.started.release()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            job.interrupted.append("cancelled")
            raise

    declare(work)
    message = send()
    assert job.started.acquire(timeout=30)
    message.abort()
    until(lambda: outcomes(stub_broker) == {"aborted": 1}, seconds=5, what="the end of the attempt")
    assert job.interrupted == ["cancelled"]


def test_what_was_claimed_before_its_abort_does_not_start(
    stub_broker: StubBroker, worker: dramatiq.Worker, job: Job
) -> None:
    """The one thread is busy, so that the second waits in the worker's memory, and its note is met at its start."""
    send(1)
    assert job.started.acquire(timeout=30)
    message = send(2)
    until(lambda: worker.work_queue.qsize() == 1, seconds=5, what="the second in the worker's hands")
    message.abort()
    [looking] = [each for each in stub_broker.middleware if isinstance(each, aborts.Aborts)]
    until(lambda: message.message_id in looking._notes, seconds=5, what="the note in the worker's hands")
    job.let_go = True
    until(lambda: outcomes(stub_broker) == {"done": 1, "aborted": 1}, seconds=5, what="the end of both")
    assert job.ran == [1]


def test_an_abort_interrupts_nothing_else(stub_broker: StubBroker, worker: dramatiq.Worker, job: Job) -> None:
    send(1)
    assert job.started.acquire(timeout=30)
    other = send(2)
    other.abort()
    [looking] = [each for each in stub_broker.middleware if isinstance(each, aborts.Aborts)]
    until(lambda: other.message_id in looking._notes, seconds=5, what="the note in the worker's hands")
    job.let_go = True
    until(lambda: outcomes(stub_broker) == {"done": 1, "aborted": 1}, seconds=5, what="the end of both")
    assert (job.ran, job.interrupted) == ([1], [])


def test_what_runs_goes_on_while_the_store_is_silent_and_is_aborted_afterwards(
    stub_broker: StubBroker, worker: dramatiq.Worker, job: Job, store: Fragile, caplog: pytest.LogCaptureFixture
) -> None:
    message = send()
    assert job.started.acquire(timeout=30)
    message.abort()
    store.silent = True
    until(lambda: "nobody knows what was aborted: it is silent" in caplog.text, seconds=5, what="a warning")
    store.silent = False
    until(lambda: outcomes(stub_broker) == {"aborted": 1}, seconds=5, what="the end of the attempt")


def test_a_message_without_a_key_runs_while_the_store_is_silent(
    stub_broker: StubBroker, worker: dramatiq.Worker, job: Job, store: Fragile
) -> None:
    store.silent = job.let_go = True
    declare(job.work, idempotent=False)
    send()
    until(lambda: job.ran == [1], seconds=5, what="the run")
