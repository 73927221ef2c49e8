"""Who wants to know how attempts end is told of each, once, before it is settled."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker as PlainStubBroker

from actors import actor
from actors.testing import StubBroker, drain
from middleware import Attempts, Ended


class Listener:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.batches: list[list[Ended]] = []

    def __call__(self, batch: Sequence[Ended]) -> None:
        self.batches.append(list(batch))

    @property
    def outcomes(self) -> list[str]:
        return [ended.outcome for batch in self.batches for ended in batch]


@pytest.fixture
def listener(stub_broker: StubBroker) -> Any:
    """Return one that is told of what the stub broker's messages come to."""
    found = Listener()
    [attempts] = [each for each in stub_broker.middleware if isinstance(each, Attempts)]
    attempts.listeners.append(found)
    yield found
    attempts.listeners.remove(found)


def test_each_attempt_is_told_of_with_what_became_of_it(stub_broker: StubBroker, listener: Listener) -> None:
    @actor(max_retries=1, min_backoff=10)
    def fail(number: int) -> None:
        raise LookupError("no order 7")

    message = fail.send(7)
    drain(raises=False, with_delays=True)

    first, second = (ended for batch in listener.batches for ended in batch)
    assert (first.message.message_id, first.outcome, first.number) == (message.message_id, "retried", 1)
    assert (second.message.message_id, second.outcome, second.number) == (message.message_id, "dead", 2)
    assert isinstance(first.error, LookupError)
    assert first.decision["by"] == "policy"
    assert first.is_bad
    assert first.duration_ms >= 0
    assert first.key is not None


def test_what_is_settled_has_been_told_of(stub_broker: StubBroker, listener: Listener) -> None:
    told_of: list[int] = []

    @actor
    def work() -> None:
        pass

    settle = stub_broker.settle

    def settled(*args: Any, **kwargs: Any) -> None:
        told_of.append(len(listener.outcomes))
        settle(*args, **kwargs)

    stub_broker.settle = settled  # type: ignore[method-assign]
    for _ in range(3):
        work.send()
    drain()

    assert told_of == [1, 2, 3]


def test_a_listener_that_fails_keeps_nothing_from_the_others_or_from_its_end(
    stub_broker: StubBroker, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    [attempts] = [each for each in stub_broker.middleware if isinstance(each, Attempts)]

    def broken(_: Sequence[Ended]) -> None:
        raise OSError("no space left")

    attempts.listeners.insert(0, broken)
    try:

        @actor
        def work() -> None:
            pass

        work.send()
        assert drain().done == 1
    finally:
        attempts.listeners.remove(broken)

    assert listener.outcomes == ["done"]
    assert "no space left" in caplog.text


def test_on_any_broker_each_is_told_of_at_once() -> None:
    listener = Listener()
    broker = PlainStubBroker(middleware=[Attempts([listener])])
    work = dramatiq.actor(broker=broker, actor_name="work")(lambda: None)
    worker = dramatiq.Worker(broker, worker_timeout=10, worker_threads=1)
    worker.start()
    try:
        for _ in range(3):
            work.send()
        broker.join("default", timeout=10_000)
    finally:
        worker.stop()

    assert [len(batch) for batch in listener.batches] == [1, 1, 1]
    assert listener.outcomes == ["done"] * 3


def test_whoever_tells_returns_only_when_what_another_tells_is_told() -> None:
    entered, may_end, told = threading.Event(), threading.Event(), list[str]()

    def slow(batch: Sequence[Ended]) -> None:
        entered.set()
        assert may_end.wait(10)
        told.extend(ended.outcome for ended in batch)

    attempts = Attempts([slow])
    message: Any = dramatiq.MessageProxy(dramatiq.Message("default", "work", (), {}, {}))
    first = threading.Thread(target=attempts.after_process_message, args=(None, message))
    first.start()
    assert entered.wait(10)
    seen: list[int] = []

    def tell() -> None:
        attempts.tell()
        seen.append(len(told))

    second = threading.Thread(target=tell)
    second.start()
    may_end.set()
    first.join(10)
    second.join(10)

    assert seen == [1]
