"""What becomes of messages while the store does not answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest

from actors import actor, assembly
from actors.testing import StubBroker, drain
from middleware import guard
from middleware.keys import digest
from middleware.stores import MemoryStore, StoreUnavailable
from services.deadline import until

# More questions than a test lasts for.
LONG = 1_000_000


class Silent(MemoryStore):
    """A store that does not answer as many calls of a method as ``silent`` says, and counts all."""

    def __init__(self) -> None:
        super().__init__()
        self.silent: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()

    def exchange(self, *args: Any) -> Any:
        self._answer("exchange")
        return super().exchange(*args)

    def mark(self, *args: Any) -> Any:
        self._answer("mark")
        return super().mark(*args)

    def arrive(self, *args: Any) -> Any:
        self._answer("arrive")
        return super().arrive(*args)

    def _answer(self, method: str) -> None:
        self.asked[method] += 1
        if self.silent[method]:
            self.silent[method] -= 1
            raise StoreUnavailable("it is silent")


@pytest.fixture
def store(stub_broker: StubBroker, monkeypatch: pytest.MonkeyPatch) -> Silent:
    monkeypatch.setattr(guard, "PROBE_EVERY_S", 0.01)
    store = Silent()
    assembly.swap_store(store)
    return store


@pytest.fixture
def ran() -> list[int]:
    return []


@pytest.fixture
def worker(stub_broker: StubBroker, store: Silent, ran: list[int]) -> Iterator[dramatiq.Worker]:
    """A worker, for actor ``charge``; it may be stopped by the test."""
    actor(actor_name="charge")(ran.append)
    worker = dramatiq.Worker(stub_broker, worker_timeout=10, worker_threads=2)
    worker.start()
    yield worker
    store.silent.clear()
    if any(thread.is_alive() for thread in worker.workers):
        worker.stop()


def send(number: int, **options: Any) -> dramatiq.Message[Any]:
    charge: Any = dramatiq.get_broker().get_actor("charge")
    message: dramatiq.Message[Any] = charge.send_with_options(args=(number,), **options)
    return message


def test_a_message_waits_until_the_store_answers(
    stub_broker: StubBroker, store: Silent, worker: dramatiq.Worker, ran: list[int]
) -> None:
    store.silent["exchange"] = LONG
    message = send(1)
    until(lambda: store.asked["exchange"] > 3, seconds=10, what="questions to the silent store")
    assert ran == []

    store.silent.clear()
    stub_broker.join("default", timeout=10_000)
    assert ran == [1]
    record = store.inspect(digest("charge", message.message_id))
    assert record is not None
    assert record.state == "done"


def test_a_message_that_waits_for_the_store_is_given_back_when_its_worker_stops(
    stub_broker: StubBroker, store: Silent, worker: dramatiq.Worker, ran: list[int]
) -> None:
    store.silent["exchange"] = LONG
    message = send(1)
    until(lambda: store.asked["exchange"] > 1, seconds=10, what="questions to the silent store")

    worker.stop()

    (entry,) = stub_broker.waiting()
    assert entry.body == message.encode()
    assert ran == []


def test_a_message_may_run_without_its_key_while_the_store_is_silent(
    stub_broker: StubBroker, store: Silent, worker: dramatiq.Worker, ran: list[int]
) -> None:
    store.silent["exchange"] = LONG
    stub_broker.enqueue(send(1, on_outage="run"))

    stub_broker.join("default", timeout=10_000)

    # Both copies: nobody keeps them apart.
    assert ran == [1, 1]
    store.silent.clear()
    assert store.list_open() == ([], "")


def test_an_unguarded_message_does_not_ask_the_store(
    stub_broker: StubBroker, store: Silent, worker: dramatiq.Worker, ran: list[int]
) -> None:
    store.silent["exchange"] = LONG
    send(1, idempotent=False)

    stub_broker.join("default", timeout=10_000)

    assert (ran, store.asked) == ([1], {})


def test_a_message_that_must_leave_a_trace_does_not_start_before_it_has(
    stub_broker: StubBroker, store: Silent, worker: dramatiq.Worker, ran: list[int]
) -> None:
    store.silent["mark"] = LONG
    send(1, on_lost="park")
    until(lambda: store.asked["mark"] > 3, seconds=10, what="attempts to leave a trace")
    assert ran == []

    store.silent.clear()
    stub_broker.join("default", timeout=10_000)
    assert ran == [1]


def test_a_member_of_a_group_whose_arrival_could_not_be_noted_comes_again_and_arrives(
    stub_broker: StubBroker, store: Silent
) -> None:
    ran: list[str] = []

    @actor
    def pack() -> None:
        ran.append("pack")
        store.silent["arrive"] = 1

    @actor
    def ship() -> None:
        ran.append("ship")

    group = dramatiq.group([pack.message()])
    group.add_completion_callback(ship.message())
    group.run()

    assert [attempt.outcome for attempt in drain().attempts] == ["requeued", "skipped", "done"]
    assert ran == ["pack", "ship"]
