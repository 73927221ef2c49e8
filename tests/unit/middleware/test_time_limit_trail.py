"""What is left of an attempt that takes too long, and what is said of it while it goes on."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import TimeLimitExceeded

from middleware import AsyncIO, AttemptLog, Attempts, DeadLetter, Retries, TimeLimit, time_limit
from middleware.letter import Letter
from services.deadline import until

LIMIT_MS = 200
TEXT = "the attempt took longer than its time limit, 200 ms"


class Service:
    """A worker with what sees to the end of an attempt, on Dramatiq's own broker."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self.time_limit = TimeLimit()
        self.broker = StubBroker(
            middleware=[Attempts([AttemptLog()]), DeadLetter(), Retries(), AsyncIO(), self.time_limit]
        )
        self.worker = dramatiq.Worker(self.broker, worker_timeout=10, worker_threads=1)

    def send(self, fn: Callable[..., Any]) -> dramatiq.Message[Any]:
        return dramatiq.actor(broker=self.broker, actor_name="job", max_retries=0, time_limit=LIMIT_MS)(fn).send()

    def finish(self) -> None:
        self.broker.join("default", timeout=60_000, fail_fast=False)

    @property
    def attempts(self) -> list[logging.LogRecord]:
        """The lines of all attempts."""
        return [record for record in self._caplog.records if record.name == "middleware.attempt_log"]

    @property
    def warnings(self) -> list[str]:
        """What was said of attempts that do not react."""
        return [record.getMessage() for record in self._caplog.records if record.name == "middleware.time_limit"]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Service]:
    monkeypatch.setattr(time_limit, "INTERVAL_S", 0.005)
    monkeypatch.setattr(time_limit, "GRACE_S", 0.5)
    service = Service(caplog)
    service.worker.start()
    yield service
    service.worker.stop()


def dig() -> None:
    while True:
        time.sleep(0.001)


async def dig_async() -> None:
    await asyncio.sleep(60)


async def outer_async() -> None:
    await dig_async()


@pytest.mark.parametrize(
    ("fn", "function", "line"), [(dig, "dig", "time.sleep(0.001)"), (outer_async, "dig_async", "asyncio.sleep(60)")]
)
def test_an_attempt_that_was_cut_off_says_its_limit_and_where_it_was(
    service: Service, fn: Callable[..., Any], function: str, line: str
) -> None:
    service.send(fn)
    service.finish()

    # In its line
    (said,) = service.attempts
    fields = vars(said)["attempt"]
    assert (fields["outcome"], fields["error_type"], fields["error"]) == ("dead", "TimeLimitExceeded", TEXT)
    assert said.exc_info is not None
    shown = "".join(traceback.format_exception(said.exc_info[1]))
    assert f"in {function}\n" in shown
    assert line in shown

    # In its trail, and in its dead letter
    (dead,) = service.broker.dead_letters
    (entry,) = dead.options["attempts"]
    assert (entry["attempt"], entry["error"]) == (1, f"TimeLimitExceeded: {TEXT}")
    assert f"in {function}\n" in dead.options["traceback"]
    assert line in dead.options["traceback"]
    letter = service.broker.middleware[1].letter_of(dead, "default")  # type: ignore[attr-defined]
    assert isinstance(letter, Letter)
    assert (letter.reason, letter.error_type, letter.error) == ("exhausted", "TimeLimitExceeded", TEXT)

    assert service.warnings == []
    assert service.time_limit.overdue() == []


def test_an_attempt_that_does_not_react_is_told_of_once_with_where_it_is(service: Service) -> None:
    lock = threading.Lock()
    lock.acquire()

    def wait_in_c() -> None:
        lock.acquire()

    message = service.send(wait_in_c)

    # While it waits in C, it is known for how long
    until(lambda: service.warnings, seconds=20, what="the warning")
    (overdue,) = service.time_limit.overdue()
    assert (overdue.message_id, overdue.actor, overdue.limit_ms) == (message.message_id, "job", 200)
    assert overdue.over_s >= time_limit.GRACE_S
    until(lambda: service.time_limit.overdue()[0].over_s > 0.7, seconds=20, what="more time")

    # And it was said once
    (warning,) = service.warnings
    first, *stack = warning.splitlines()
    assert first.startswith(f"message {message.message_id} of job has been over its time limit of 200 ms for ")
    assert "in wait_in_c" in stack[0]
    assert stack[-1].strip() == "lock.acquire()"

    lock.release()
    service.finish()
    assert service.time_limit.overdue() == []
    (said,) = service.attempts
    assert vars(said)["attempt"]["error"] == TEXT


def test_an_async_attempt_that_keeps_its_loop_busy_is_told_of_with_where_it_is(service: Service) -> None:
    async def block() -> None:
        time.sleep(1.5)

    service.send(block)
    service.finish()

    (warning,) = service.warnings
    assert "in block" in warning
    assert warning.splitlines()[-1].strip() == "time.sleep(1.5)"


def test_no_attempt_ends_while_its_coroutine_goes_on(service: Service) -> None:
    """Dramatiq gives a cancelled one a second, and then lets the next attempt begin beside it."""
    ended: list[int] = []

    async def clean_up() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(1.6)
            ended.append(len(service.attempts))

    service.send(clean_up)
    service.finish()

    assert ended == [0]
    (said,) = service.attempts
    assert vars(said)["attempt"]["error"] == TEXT
    assert len(service.warnings) == 1
    assert "asyncio.sleep(1.6)" in service.warnings[0]


def test_what_an_actor_raises_itself_is_left_as_it_is(service: Service) -> None:
    def give_up() -> None:
        raise TimeLimitExceeded("mine")

    service.send(give_up)
    service.finish()

    (said,) = service.attempts
    assert vars(said)["attempt"]["error"] == "mine"
