"""What becomes of a message whose worker was lost: here nobody renews the claims that the tests take."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from actors import actor, assembly
from actors.decorator import Actor
from actors.testing import StubBroker, drain, enqueued
from middleware import current
from middleware.keys import digest
from middleware.stores import Claim, Ending, Verdict
from tests.conformance.stores.subject import claim, finish, verdict

KEY = digest("charge", "order")
LEASE = timedelta(seconds=10)


@pytest.fixture
def maybe_ran() -> list[bool]:
    """What each attempt was told of those before it."""
    return []


def charging(maybe_ran: list[bool], **options: Any) -> Actor[..., None]:
    def charge() -> None:
        maybe_ran.append(current().maybe_ran)

    return actor(idempotency_key="order", lease=LEASE, **options)(charge)


def lose_a_worker(stub_broker: StubBroker, owner: str, *, starts: bool = True, **options: Any) -> Claim:
    """Let a worker take the key of message *owner* and be heard of no more."""
    lost = claim(assembly.store(), key="order", digest=KEY, owner=owner, lease_ms=10_000, **options)
    if starts and lost.needs_mark:
        assert assembly.store().mark(lost)
    stub_broker.clock.advance(LEASE)
    return lost


@pytest.mark.parametrize("same", [True, False])
def test_a_message_of_a_lost_worker_runs_again_and_is_told(
    stub_broker: StubBroker, maybe_ran: list[bool], same: bool
) -> None:
    charge = charging(maybe_ran)
    message = charge.message()
    lost = lose_a_worker(stub_broker, message.message_id if same else "another")
    stub_broker.enqueue(message)

    assert (drain().done, maybe_ran) == (1, [True])
    assert not finish(assembly.store(), lost, Ending.DONE)


def test_a_message_whose_worker_was_not_lost_is_told_so(stub_broker: StubBroker, maybe_ran: list[bool]) -> None:
    charging(maybe_ran).send()

    assert (drain().done, maybe_ran) == (1, [False])


@pytest.mark.parametrize(("losses", "max_losses"), [(3, 3), (1, 1)])
def test_a_message_that_has_cost_as_many_workers_as_it_may_is_poison(
    stub_broker: StubBroker, maybe_ran: list[bool], losses: int, max_losses: int
) -> None:
    charge = charging(maybe_ran, max_losses=max_losses)
    message = charge.message()
    for _ in range(losses):
        lose_a_worker(stub_broker, message.message_id)
    stub_broker.enqueue(message)

    assert drain(raises=False).dead == 1
    (letter,) = stub_broker.dead_letters
    assert letter.options["traceback"] == f"idempotency key 'order': poison: its workers were lost {losses} times"
    assert (maybe_ran, enqueued()) == ([], [])

    # It stays dead when it comes once more, of the same reason.
    stub_broker.enqueue(message)
    assert (drain(raises=False).dead, maybe_ran) == (1, [])
    assert [each.options["failure"]["reason"] for each in stub_broker.dead_letters] == ["poison", "poison"]


def test_a_message_that_may_cost_one_worker_more_runs(stub_broker: StubBroker, maybe_ran: list[bool]) -> None:
    charge = charging(maybe_ran)
    message = charge.message()
    for _ in range(2):
        lose_a_worker(stub_broker, message.message_id)
    stub_broker.enqueue(message)

    assert (drain().done, maybe_ran) == (1, [True])


def test_from_the_second_loss_on_only_what_had_started_is_blamed(
    stub_broker: StubBroker, maybe_ran: list[bool]
) -> None:
    # Given a message that was taken by three workers, all lost, and started by the first at most
    charge = charging(maybe_ran)
    message = charge.message()
    lose_a_worker(stub_broker, message.message_id)
    for _ in range(3):
        lose_a_worker(stub_broker, message.message_id, starts=False)
    stub_broker.enqueue(message)

    assert (drain().done, maybe_ran) == (1, [True])


def test_a_message_that_started_is_parked_if_its_actor_wants_it(stub_broker: StubBroker, maybe_ran: list[bool]) -> None:
    # Given a message whose worker was lost after its start
    charge = charging(maybe_ran, on_lost="park")
    message = charge.message()
    lose_a_worker(stub_broker, message.message_id, park=True)

    # When it comes again, and another one with its key
    stub_broker.enqueue(message)
    assert drain(raises=False).dead == 1
    charge.send()
    assert drain().skipped == 1

    # Then it is a dead letter, the other one is not, and an operator decides
    (letter,) = stub_broker.dead_letters
    assert letter.message_id == message.message_id
    assert letter.options["traceback"] == (
        "idempotency key 'order': parked: its worker was lost, and nobody knows whether it was done"
    )
    assert [record.state for record in assembly.store().list_open()[0]] == ["unknown"]
    assert maybe_ran == []


def test_a_message_that_had_not_started_is_not_parked(stub_broker: StubBroker, maybe_ran: list[bool]) -> None:
    charge = charging(maybe_ran, on_lost="park")
    message = charge.message()
    lose_a_worker(stub_broker, message.message_id, starts=False, park=True)
    stub_broker.enqueue(message)

    assert (drain().done, maybe_ran) == (1, [False])


@pytest.mark.parametrize("way", ["release", "complete"])
def test_an_operator_ends_the_doubt(stub_broker: StubBroker, maybe_ran: list[bool], way: str) -> None:
    charge = charging(maybe_ran, on_lost="park")
    message = charge.message()
    lose_a_worker(stub_broker, message.message_id, park=True)
    stub_broker.enqueue(message)
    drain(raises=False)

    getattr(assembly.store(), way)(KEY)
    stub_broker.enqueue(message)
    outcomes = [attempt.outcome for attempt in drain().attempts]

    assert outcomes == (["done"] if way == "release" else ["skipped"])
    assert maybe_ran == ([False] if way == "release" else [])


def test_a_message_that_is_to_be_parked_leaves_a_trace_before_it_starts(stub_broker: StubBroker) -> None:
    told: list[Verdict] = []

    @actor(idempotency_key="order", lease=LEASE, on_lost="park")
    def charge() -> None:
        # As if this worker were lost now.
        stub_broker.clock.advance(LEASE)
        told.append(verdict(assembly.store(), "order", "another", digest=KEY, park=True))

    charge.send()
    drain()

    assert told == [Verdict.UNKNOWN]


def test_a_copy_waits_no_longer_than_the_lease_of_a_lost_worker(stub_broker: StubBroker, maybe_ran: list[bool]) -> None:
    charge = charging(maybe_ran)
    message = charge.message()
    claim(assembly.store(), key="order", digest=KEY, owner=message.message_id, lease_ms=10_000)
    began = stub_broker.clock.now()
    stub_broker.enqueue(message)

    assert (drain(with_delays=True).done, maybe_ran) == (1, [True])
    assert stub_broker.clock.now() - began == LEASE + timedelta(milliseconds=1)
