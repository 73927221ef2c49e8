from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Middleware, SkipMessage

from middleware import AsyncIO, TimeLimit, time_limit

THREADS = 4


class Outcomes(Middleware):
    """Counts how attempts end."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        with self._lock:
            self.counts["result" if exception is None else type(exception).__name__] += 1


class Service:
    """A worker with a time limit, on Dramatiq's own broker."""

    def __init__(self, *middleware: Middleware) -> None:
        self.outcomes = Outcomes()
        self.broker = StubBroker(middleware=[*middleware, TimeLimit(), self.outcomes])
        self.worker = dramatiq.Worker(self.broker, worker_timeout=10, worker_threads=THREADS)

    def actor(self, fn: Callable[..., Any], **options: Any) -> dramatiq.Actor[..., Any]:
        return dramatiq.actor(broker=self.broker, **options)(fn)

    def finish(self) -> Counter[str]:
        """Return the outcomes of all that was sent."""
        self.broker.join("default", timeout=60_000, fail_fast=False)
        counts, self.outcomes.counts = self.outcomes.counts, Counter()
        return counts


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(time_limit, "INTERVAL_S", 0.001)
    service = Service(AsyncIO())
    service.worker.start()
    yield service
    service.worker.stop()


def busy(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pass


def test_an_attempt_that_takes_too_long_is_interrupted(service: Service) -> None:
    actor = service.actor(busy, time_limit=20)

    actor.send(60)

    assert service.finish() == {"TimeLimitExceeded": 1}


def test_an_async_attempt_that_takes_too_long_is_interrupted(service: Service) -> None:
    async def wait() -> None:
        await asyncio.sleep(60)

    actor = service.actor(wait, time_limit=20)

    actor.send()

    assert service.finish() == {"TimeLimitExceeded": 1}


def test_an_attempt_within_its_limit_is_left_alone(service: Service) -> None:
    actor = service.actor(busy, time_limit=60_000)

    actor.send(0.05)

    assert service.finish() == {"result": 1}


def test_the_limit_of_a_message_goes_before_that_of_its_actor(service: Service) -> None:
    actor = service.actor(busy, time_limit=20)

    actor.send_with_options(args=(0.2,), time_limit=60_000)

    assert service.finish() == {"result": 1}


def test_an_actor_called_by_another_shares_the_callers_limit(service: Service) -> None:
    inner = service.actor(busy, actor_name="inner", time_limit=1)
    outer = service.actor(lambda: inner(0.2), actor_name="outer", time_limit=60_000)

    outer.send()

    assert service.finish() == {"result": 1}


def test_an_actor_called_outside_a_worker_has_no_limit(service: Service) -> None:
    actor = service.actor(busy, time_limit=1)

    assert actor(0.1) is None


def test_a_message_that_is_skipped_leaves_no_limit_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "INTERVAL_S", 0.001)

    class Skip(Middleware):
        def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
            raise SkipMessage

    broker = StubBroker(middleware=[TimeLimit(), Skip()])
    actor = dramatiq.actor(broker=broker, time_limit=1)(busy)
    message = dramatiq.MessageProxy(actor.message(0))

    with pytest.raises(SkipMessage):
        broker.emit_before("process_message", message)
    broker.emit_after("skip_message", message)

    assert actor(0.1) is None


def test_an_interrupt_that_comes_as_the_function_returns_never_appears_outside_it(service: Service) -> None:
    """Functions that end about when their limits do; each attempt has one outcome, and every thread lives on."""
    messages = 1_500
    racing = service.actor(busy, actor_name="racing", time_limit=3)
    threads = list(service.worker.workers)

    for number in range(messages):
        racing.send(0.0005 * (number % 12))
    raced = service.finish()

    assert raced.keys() == {"result", "TimeLimitExceeded"}
    assert raced.total() == messages
    assert all(thread.is_alive() for thread in threads)

    calm = service.actor(busy, actor_name="calm", time_limit=60_000)
    for _ in range(10 * THREADS):
        calm.send(0.005)
    assert service.finish() == {"result": 10 * THREADS}
    assert all(thread.is_alive() for thread in threads)
