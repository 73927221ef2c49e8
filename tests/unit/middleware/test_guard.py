from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker

from middleware import Guard, guard
from middleware.guard import GivenBack, Postponed, TryLater
from middleware.keys import InvalidKey, digest
from middleware.options import InvalidPolicy
from middleware.policy import OPTIONS, Defaults
from middleware.stores import Claim, Ending, MemoryStore, Outcome, StoreUnavailable, Verdict
from tests.conformance.stores.subject import claim, verdict

LEASE_MS = 1_000


class Store(MemoryStore):
    """Its time stands still; it answers after so many failures."""

    def __init__(self) -> None:
        self.time = 1_700_000_000_000
        super().__init__(lambda: self.time)
        self.failures = 0
        self.marked: list[Claim] = []

    def exchange(self, *args: Any) -> Any:
        self._answer()
        return super().exchange(*args)

    def mark(self, claim: Claim) -> bool:
        self._answer()
        self.marked.append(claim)
        return super().mark(claim)

    def _answer(self) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("it is silent")


class Delivery(dramatiq.MessageProxy):
    """A message of a broker that takes messages back."""

    concludes = True


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def guarding(store: Store, monkeypatch: pytest.MonkeyPatch) -> Guard:
    monkeypatch.setattr(guard, "PROBE_EVERY_S", 0.01)
    return Guard(lambda: store, lambda: Defaults(lease_ms=LEASE_MS))


@pytest.fixture
def broker() -> StubBroker:
    return StubBroker(middleware=[])


Deliver = Callable[..., Delivery]


@pytest.fixture
def deliver(broker: StubBroker) -> Deliver:
    """Return a function that makes deliveries of a message of an actor with the options given."""
    broker.add_middleware(_Options())

    def deliver(
        message_id: str = "m1", *, args: tuple[Any, ...] = (1,), message: Any = None, **options: Any
    ) -> Delivery:
        def charge(number: int) -> None: ...

        broker.actors.clear()
        dramatiq.actor(broker=broker, **options)(charge)
        return Delivery(dramatiq.Message("default", "charge", args, {}, message or {}, message_id=message_id))

    return deliver


class _Options(dramatiq.Middleware):
    actor_options = frozenset(OPTIONS)  # type: ignore[assignment]


def test_a_message_is_claimed_under_its_id(broker: StubBroker, guarding: Guard, store: Store, deliver: Deliver) -> None:
    message = deliver()
    guarded = guarding.guarded(broker, message)

    assert guarding.claim(guarded, message)
    assert guarded.lease is not None
    request = guarded.lease.claim.request
    assert (request.key, request.owner, request.scope, request.fingerprint) == ("m1", "m1", "charge", "")
    assert verdict(store, "m1", "m1", digest=digest("charge", "m1")) is Verdict.BUSY


def test_what_is_known_of_a_delivery_is_known_once(broker: StubBroker, guarding: Guard, deliver: Deliver) -> None:
    message = deliver()

    assert guarding.guarded(broker, message) is guarding.guarded(broker, message)
    assert guarding.guarded(broker, deliver()) is not guarding.guarded(broker, message)


def test_each_delivery_has_a_token_of_its_own(broker: StubBroker, guarding: Guard, deliver: Deliver) -> None:
    requests = [guarding.guarded(broker, deliver()).request for _ in range(2)]

    assert len({request.token for request in requests if request}) == 2


def test_a_delivery_whose_question_is_repeated_gets_its_own_claim(
    broker: StubBroker, guarding: Guard, store: Store, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a store whose first answer is lost on its way
    answers = iter([StoreUnavailable("its answer was lost"), None])
    exchange = store.exchange

    def lose_the_first(*args: Any) -> Any:
        answer = exchange(*args)
        lost = next(answers)
        if lost is not None:
            raise lost
        return answer

    monkeypatch.setattr(store, "exchange", lose_the_first)
    message = deliver()

    assert guarding.claim(guarding.guarded(broker, message), message)


@pytest.mark.parametrize(
    ("message", "admitted"),
    [({}, True), ({"eta": 1}, False), ({"lease": "long"}, False), ({"idempotent": False}, False)],
)
def test_the_store_is_asked_before_what_may_start_and_is_guarded(
    broker: StubBroker, guarding: Guard, deliver: Deliver, message: dict[str, Any], admitted: bool
) -> None:
    assert guarding.admits(broker, deliver(message=message)) is admitted


def test_a_message_of_an_unknown_actor_is_not_asked_for(broker: StubBroker, guarding: Guard, deliver: Deliver) -> None:
    message = deliver()
    broker.actors.clear()

    assert not guarding.admits(broker, message)


@pytest.mark.parametrize(("message", "error"), [({"lease": 1}, InvalidPolicy), ({"idempotency_key": ""}, InvalidKey)])
def test_options_that_can_not_be_used_are_an_error(
    broker: StubBroker, guarding: Guard, deliver: Deliver, message: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        guarding.guarded(broker, deliver(message=message))


def test_the_defaults_are_those_of_the_settings_and_an_actors_own_come_first(
    broker: StubBroker, guarding: Guard, deliver: Deliver
) -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any], int]] = [
        ({}, {}, LEASE_MS),
        ({"lease": timedelta(seconds=5)}, {}, 5_000),
        ({"lease": 5_000}, {"lease": 700}, 700),
    ]
    for options, message, lease_ms in cases:
        request = guarding.guarded(broker, deliver(message=message, **options)).request
        assert request is not None
        assert request.lease_ms == lease_ms


def test_an_actor_that_is_declared_anew_has_its_new_options(
    broker: StubBroker, guarding: Guard, deliver: Deliver
) -> None:
    assert guarding.guarded(broker, deliver()).request is not None
    assert guarding.guarded(broker, deliver(idempotent=False)).request is None


def test_a_message_whose_lease_was_good_starts_without_a_word(
    broker: StubBroker, guarding: Guard, store: Store, deliver: Deliver
) -> None:
    message = deliver()
    assert guarding.claim(guarding.guarded(broker, message), message)

    assert store.marked == []


def test_a_message_that_waited_beyond_its_lease_asks_before_it_starts(
    broker: StubBroker, guarding: Guard, store: Store, deliver: Deliver
) -> None:
    # Given a claim that came in a batch, and a process that was suspended since
    message = deliver()
    guarded = guarding.guarded(broker, message)
    guarding.exchange([], [guarded])
    assert guarded.lease is not None
    guarded.lease.good_until = time.monotonic() - 1

    # When it starts and nobody else has taken the key
    assert guarding.claim(guarded, message)

    # Then it says so, and has its lease from now on
    assert store.marked == [guarded.lease.claim]
    assert guarded.lease.is_good


def test_a_message_that_waited_until_another_took_its_key_does_not_start(
    broker: StubBroker, guarding: Guard, store: Store, deliver: Deliver
) -> None:
    message = deliver()
    guarded = guarding.guarded(broker, message)
    guarding.exchange([], [guarded])
    assert guarded.lease is not None
    guarded.lease.good_until = time.monotonic() - 1
    store.time += LEASE_MS
    claim(store, key="m1", owner="m1", digest=digest("charge", "m1"))

    assert not guarding.claim(guarded, message)
    assert guarded.answer is not None
    assert guarded.answer.verdict is Verdict.BUSY


def test_a_message_that_waited_until_another_was_done_with_its_key_does_not_start(
    broker: StubBroker, guarding: Guard, store: Store, deliver: Deliver
) -> None:
    message = deliver()
    guarded = guarding.guarded(broker, message)
    guarding.exchange([], [guarded])
    assert guarded.lease is not None
    guarded.lease.good_until = time.monotonic() - 1
    store.time += LEASE_MS
    other = claim(store, key="m1", owner="m1", digest=digest("charge", "m1"))
    guarding.exchange([Outcome(other, Ending.DONE)], [])

    assert not guarding.claim(guarded, message)
    assert guarded.answer is not None
    assert guarded.answer.verdict is Verdict.DONE


def test_what_is_given_up_before_its_start_can_not_start_and_is_free_at_once(
    broker: StubBroker, guarding: Guard, store: Store, deliver: Deliver
) -> None:
    message = deliver()
    guarded = guarding.guarded(broker, message)
    guarding.exchange([], [guarded])

    outcome = guarding.leave(guarded)
    assert outcome is not None
    assert guarding.exchange([outcome], []) == [True]
    with pytest.raises(GivenBack):
        guarding.claim(guarded, message)
    assert guarding.leave(guarded) is None
    assert verdict(store, "m1", "m1", digest=digest("charge", "m1")) is Verdict.RUN


def test_what_has_started_can_not_be_given_up(broker: StubBroker, guarding: Guard, deliver: Deliver) -> None:
    message = deliver()
    guarded = guarding.guarded(broker, message)
    assert guarding.claim(guarded, message)

    assert guarding.leave(guarded) is None


def test_when_the_worker_stops_a_message_that_waits_for_the_store_is_given_back(
    broker: StubBroker, guarding: Guard, store: Store, deliver: Deliver
) -> None:
    message = deliver()
    store.failures = 1_000
    guarding.hurry()

    with pytest.raises(GivenBack):
        guarding.claim(guarding.guarded(broker, message), message)
    assert vars(message)["requeue"] is True


def test_when_the_worker_stops_a_message_that_can_not_be_taken_back_is_tried_later(
    broker: StubBroker, guarding: Guard, store: Store, deliver: Deliver
) -> None:
    message = dramatiq.MessageProxy(deliver()._message)
    store.failures = 1_000
    guarding.hurry()

    with pytest.raises(TryLater) as error:
        guarding.claim(guarding.guarded(broker, message), message)
    assert error.value.delay == 1_000


def test_an_outcome_that_does_not_count_is_counted(
    broker: StubBroker, guarding: Guard, store: Store, deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="middleware.guard")
    message = deliver()
    guarded = guarding.guarded(broker, message)
    guarding.claim(guarded, message)
    guarding.end(guarded, Ending.DONE)
    assert guarded.outcome is not None
    store.time += LEASE_MS
    claim(store, key="m1", owner="m1", digest=digest("charge", "m1"))

    assert guarding.exchange([guarded.outcome], []) == [False]
    assert guarding.counts == {"stale": 1}
    assert len(caplog.messages) == 1


def lost(store: Store, message_id: str, *, losses: int) -> None:
    """Let so many workers take message *message_id*, start it, and be heard of no more."""
    for _ in range(losses):
        held = claim(store, key=message_id, digest=digest("charge", message_id), owner=message_id, lease_ms=LEASE_MS)
        assert not held.needs_mark or store.mark(held)
        store.time += LEASE_MS


def test_a_message_that_is_given_back_at_its_start_keeps_no_other_from_starting(
    broker: StubBroker, guarding: Guard, store: Store, deliver: Deliver
) -> None:
    # Given a message with its last chance, which its consumer gives back as it starts
    lost(store, "m1", losses=2)
    first = deliver("m1")
    guarded = guarding.guarded(broker, first)
    guarding.exchange([], [guarded])
    assert guarded.lease is not None
    assert guarding.leases.start(guarded.lease)
    with pytest.raises(GivenBack):
        guarding.claim(guarded, first)

    lost(store, "m2", losses=2)
    second = deliver("m2")
    assert guarding.claim(guarding.guarded(broker, second), second)


def test_a_message_whose_key_is_gone_when_it_starts_keeps_no_other_from_starting(
    broker: StubBroker, guarding: Guard, store: Store, deliver: Deliver
) -> None:
    # Given a message with its last chance, whose key another takes before its start is marked
    lost(store, "m1", losses=2)
    first = deliver("m1")
    guarded = guarding.guarded(broker, first)
    guarding.exchange([], [guarded])
    store.release(digest("charge", "m1"), force=True)
    claim(store, key="m1", digest=digest("charge", "m1"), owner="another")
    assert not guarding.claim(guarded, first)

    lost(store, "m2", losses=2)
    second = deliver("m2")
    assert guarding.claim(guarding.guarded(broker, second), second)


@pytest.mark.parametrize("ending", list(Ending))
def test_the_next_with_its_last_chance_starts_once_the_one_before_has_ended(
    broker: StubBroker, guarding: Guard, store: Store, deliver: Deliver, ending: Ending
) -> None:
    lost(store, "m1", losses=2)
    lost(store, "m2", losses=2)
    first, second, again = deliver("m1"), deliver("m2"), deliver("m2")
    held = guarding.guarded(broker, first)
    assert guarding.claim(held, first)
    with pytest.raises(Postponed):
        guarding.claim(guarding.guarded(broker, second), second)
    guarding.end(guarding.guarded(broker, second), Ending.ABANDONED)
    guarding.exchange([guarding.guarded(broker, second).outcome], [])  # type: ignore[list-item]

    guarding.end(held, ending)
    assert guarding.claim(guarding.guarded(broker, again), again)
