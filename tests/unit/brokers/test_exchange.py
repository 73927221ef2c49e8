from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dramatiq
import pytest

from actors.brokers import exchange as module
from actors.brokers.delivery import Delivery, Epoch
from actors.brokers.exchange import Exchange
from actors.testing import StubBroker
from middleware import Guard
from middleware.keys import digest
from middleware.policy import Defaults
from middleware.stores import Ending, MemoryStore, Outcome, Request, StoreUnavailable, Verdict
from services.deadline import until
from tests.conformance.stores.subject import claim, verdict

LEASE_MS = 30_000


class Store(MemoryStore):
    """Notes what it is asked; it may be silent."""

    def __init__(self) -> None:
        super().__init__()
        self.is_silent = False
        self.asked: list[tuple[int, int]] = []

    def exchange(self, outcomes: Sequence[Outcome], requests: Sequence[Request]) -> Any:
        self.asked.append((len(outcomes), len(requests)))
        if self.is_silent:
            raise StoreUnavailable("it is silent")
        return super().exchange(outcomes, requests)


class Consumer:
    """An exchange with all that it needs, and what it has told its consumer.

    Attributes:
        concluded: the messages that were concluded, and whether their outcomes count.
        calls: when the exchange wants to be called back, in seconds.
    """

    def __init__(self) -> None:
        self.store = Store()
        self.broker = StubBroker(middleware=[_Options()], max_message_bytes=lambda: 1_000)
        for name, options in [
            ("charge", dict[str, Any]()),
            ("urgent", {"on_outage": "run"}),
            ("free", {"idempotent": False}),
        ]:
            dramatiq.actor(broker=self.broker, actor_name=name, **options)(lambda: None)
        self.guard = Guard(lambda: self.store, lambda: Defaults(lease_ms=LEASE_MS))
        self.concluded: list[tuple[str, bool]] = []
        self.calls: list[float] = []
        self.exchange = self.exchange_with(self.guard)

    def exchange_with(self, guard: Guard | None) -> Exchange:
        def conclude(delivery: Delivery, is_current: bool) -> None:
            self.concluded.append((delivery.message_id, is_current))

        def call_later(seconds: float, callback: Callable[[], None]) -> None:
            self.calls.append(seconds)

        return Exchange(self.broker, guard, conclude=conclude, call_later=call_later)

    def arrive(self, message_id: str, actor: str = "charge") -> Delivery:
        message = dramatiq.Message[Any]("default", actor, (), {}, {}, message_id=message_id)
        delivery = Delivery(message, redelivered=False, epoch=Epoch(), tag=1, body=b"")
        self.exchange.arrive(delivery)
        return delivery

    def run(self, delivery: Delivery, ending: Ending = Ending.DONE) -> None:
        """Let a worker run *delivery* to its end."""
        guarded = self.guard.guarded(self.broker, delivery)
        assert self.guard.claim(guarded, delivery)
        self.guard.end(guarded, ending)
        assert self.exchange.end(delivery)

    def ready(self) -> list[str]:
        """The ids of what is ready, which is taken."""
        ready = self.exchange.ready
        return [ready.popleft().message_id for _ in range(len(ready))]

    def turn_again(self) -> None:
        self.exchange._paused_until = 0.0
        self.exchange.turn()

    def verdict(self, message_id: str, owner: str | None = None) -> Verdict:
        """What another delivery would be told of the key of a message."""
        return verdict(self.store, message_id, owner or message_id, digest=digest("charge", message_id))


class _Options(dramatiq.Middleware):
    actor_options = frozenset({"on_outage", "idempotent"})  # type: ignore[assignment]


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Consumer:
    monkeypatch.setattr(module, "PROBE_EVERY_S", 0.01)
    return Consumer()


def test_all_that_has_arrived_and_ended_is_one_question(consumer: Consumer) -> None:
    first, second = consumer.arrive("m1"), consumer.arrive("m2")
    assert consumer.ready() == []
    consumer.exchange.turn()
    assert consumer.ready() == ["m1", "m2"]

    consumer.run(first)
    consumer.run(second)
    consumer.arrive("m3")
    consumer.exchange.turn()

    assert consumer.store.asked == [(0, 2), (2, 1)]
    assert consumer.concluded == [("m1", True), ("m2", True)]
    assert consumer.ready() == ["m3"]


def test_with_nothing_to_ask_the_store_is_left_alone(consumer: Consumer) -> None:
    consumer.exchange.turn()
    consumer.exchange.finish()

    assert consumer.store.asked == []


def test_what_may_not_start_is_ready_too_and_its_hooks_say_so(consumer: Consumer) -> None:
    claim(consumer.store, key="m1", owner="m1", digest=digest("charge", "m1"))
    delivery = consumer.arrive("m1")
    consumer.exchange.turn()

    assert consumer.ready() == ["m1"]
    assert delivery.guarded is not None
    assert delivery.guarded.answer is not None
    assert delivery.guarded.answer.verdict is Verdict.BUSY


def test_an_outcome_that_does_not_count_is_concluded_so(consumer: Consumer) -> None:
    delivery = consumer.arrive("m1")
    consumer.exchange.turn()
    consumer.store.release(digest("charge", "m1"), force=True)
    claim(consumer.store, key="m1", owner="m1", digest=digest("charge", "m1"))

    consumer.run(delivery)
    consumer.exchange.turn()

    assert consumer.concluded == [("m1", False)]


@pytest.mark.parametrize("actor", ["free", "nobody"])
def test_what_needs_no_key_is_ready_at_once(consumer: Consumer, actor: str) -> None:
    delivery = consumer.arrive("m1", actor)

    assert consumer.ready() == ["m1"]
    assert not consumer.exchange.end(delivery)
    assert not consumer.exchange.leave(delivery)
    assert consumer.store.asked == []


def test_without_a_guard_all_is_ready_at_once(consumer: Consumer) -> None:
    consumer.exchange = consumer.exchange_with(None)
    delivery = consumer.arrive("m1")

    assert consumer.ready() == ["m1"]
    assert not consumer.exchange.leave(delivery)


def test_while_the_store_is_silent_all_waits_and_nothing_is_lost(
    consumer: Consumer, caplog: pytest.LogCaptureFixture
) -> None:
    # Given one message that has ended, and one that has just arrived
    ended = consumer.arrive("m1")
    consumer.exchange.turn()
    assert consumer.ready() == ["m1"]
    consumer.run(ended)
    consumer.arrive("m2")

    # When the store falls silent, and more arrives
    consumer.store.is_silent = True
    consumer.exchange.turn()
    consumer.arrive("m3")
    consumer.turn_again()
    assert (consumer.ready(), consumer.concluded) == ([], [])

    # Then all goes on in its order once it answers
    consumer.store.is_silent = False
    consumer.turn_again()
    assert (consumer.ready(), consumer.concluded) == (["m2", "m3"], [("m1", True)])
    assert consumer.store.asked == [(0, 1), (1, 1), (1, 2), (1, 2)]
    assert caplog.messages == ["messages wait: it is silent"]


def test_a_store_that_was_silent_a_moment_ago_is_left_alone_for_a_while(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROBE_EVERY_S", 60.0)
    consumer.store.is_silent = True
    consumer.arrive("m1")
    for _ in range(5):
        consumer.exchange.turn()

    assert len(consumer.store.asked) == 1
    assert consumer.calls == [60.0]


def test_a_second_outage_is_said_again(consumer: Consumer, caplog: pytest.LogCaptureFixture) -> None:
    for message_id in ("m1", "m2"):
        consumer.arrive(message_id)
        consumer.store.is_silent = True
        consumer.turn_again()
        consumer.store.is_silent = False
        consumer.turn_again()

    assert caplog.messages == ["messages wait: it is silent"] * 2


def test_what_may_run_without_its_key_goes_on_while_the_store_is_silent(consumer: Consumer) -> None:
    consumer.store.is_silent = True
    for message_id, actor in [("m1", "charge"), ("m2", "urgent"), ("m3", "charge"), ("m4", "urgent")]:
        consumer.arrive(message_id, actor)
    consumer.exchange.turn()
    assert consumer.ready() == ["m2", "m4"]
    assert consumer.guard.counts == {"unprotected": 2}

    consumer.store.is_silent = False
    consumer.turn_again()
    assert consumer.ready() == ["m1", "m3"]


def test_an_outcome_that_could_not_be_recorded_while_its_lease_was_good_is_concluded(consumer: Consumer) -> None:
    late, good = consumer.arrive("m1"), consumer.arrive("m2")
    consumer.exchange.turn()
    consumer.run(late)
    consumer.run(good)
    assert late.guarded is not None
    late.guarded.good_until = 0.0

    consumer.store.is_silent = True
    consumer.exchange.turn()
    assert consumer.concluded == [("m1", True)]
    assert consumer.guard.counts == {"unrecorded": 1}

    consumer.store.is_silent = False
    consumer.turn_again()
    assert consumer.concluded == [("m1", True), ("m2", True)]


def test_at_the_end_what_has_ended_is_recorded_and_nothing_is_asked_for(consumer: Consumer) -> None:
    delivery = consumer.arrive("m1")
    consumer.exchange.turn()
    consumer.run(delivery)
    consumer.arrive("m2")

    consumer.exchange.finish()

    assert consumer.concluded == [("m1", True)]
    assert consumer.store.asked[-1] == (1, 0)
    assert consumer.verdict("m1") is Verdict.DONE


def test_at_the_end_a_store_that_comes_back_is_waited_for(consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery = consumer.arrive("m1")
    consumer.exchange.turn()
    consumer.run(delivery)
    consumer.store.is_silent = True
    asked = consumer.store.exchange

    def come_back(*args: Any) -> Any:
        consumer.store.is_silent = len(consumer.store.asked) < 4
        return asked(*args)

    monkeypatch.setattr(consumer.store, "exchange", come_back)
    consumer.exchange.finish()

    assert consumer.concluded == [("m1", True)]
    assert consumer.guard.counts == {}


def test_at_the_end_a_store_that_stays_silent_is_given_up(consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAST_WAIT_S", 0.05)
    delivery = consumer.arrive("m1")
    consumer.exchange.turn()
    consumer.run(delivery)
    consumer.store.is_silent = True

    consumer.exchange.finish()

    assert consumer.concluded == [("m1", True)]
    assert consumer.guard.counts == {"unrecorded": 1}


def test_what_is_left_is_free_for_its_next_delivery_before_it_is_concluded(consumer: Consumer) -> None:
    delivery = consumer.arrive("m1")
    consumer.exchange.turn()
    assert consumer.verdict("m1") is Verdict.BUSY

    assert consumer.exchange.leave(delivery)
    assert consumer.concluded == []
    consumer.exchange.turn()

    assert consumer.concluded == [("m1", True)]
    assert consumer.verdict("m1") is Verdict.RUN


def test_what_runs_or_has_not_asked_is_not_left(consumer: Consumer) -> None:
    runs = consumer.arrive("m1")
    consumer.exchange.turn()
    assert consumer.guard.claim(consumer.guard.guarded(consumer.broker, runs), runs)
    waits = consumer.arrive("m2")

    assert not consumer.exchange.leave(runs)
    assert not consumer.exchange.leave(waits)
    assert consumer.verdict("m1") is Verdict.BUSY


def test_what_is_forgotten_is_what_nobody_has_taken(consumer: Consumer) -> None:
    consumer.arrive("taken")
    consumer.exchange.turn()
    consumer.ready()
    consumer.arrive("ready", "free")
    consumer.arrive("arrived")

    consumer.exchange.forget()
    consumer.exchange.turn()

    assert consumer.ready() == []


def test_what_ends_in_another_thread_while_the_store_is_asked_is_recorded_next(consumer: Consumer) -> None:
    first, second = consumer.arrive("m1"), consumer.arrive("m2")
    consumer.exchange.turn()
    consumer.run(first)
    asked = consumer.store.exchange

    def slowly(outcomes: Sequence[Outcome], requests: Sequence[Request]) -> Any:
        consumer.store.exchange = asked  # type: ignore[method-assign]
        consumer.run(second)
        return asked(outcomes, requests)

    consumer.store.exchange = slowly  # type: ignore[method-assign]
    consumer.exchange.turn()
    assert consumer.concluded == [("m1", True)]
    consumer.exchange.turn()
    assert consumer.concluded == [("m1", True), ("m2", True)]


def test_a_pause_ends_by_itself(consumer: Consumer) -> None:
    consumer.store.is_silent = True
    consumer.arrive("m1")
    consumer.exchange.turn()
    consumer.store.is_silent = False

    def is_ready() -> bool:
        consumer.exchange.turn()
        return bool(consumer.exchange.ready)

    until(is_ready, seconds=10, what="the end of the pause")
