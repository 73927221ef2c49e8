"""What becomes of a message whose key is another delivery's, now or since."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from actors import actor, assembly
from actors.decorator import Actor
from actors.testing import StubBroker, drain, enqueued
from middleware import Idempotency
from middleware.keys import digest, fingerprint
from middleware.stores import Claim, Ending
from tests.conformance.stores.subject import claim, finish

LEASE_MS = 30_000


@pytest.fixture
def ran() -> list[int]:
    return []


@pytest.fixture
def counts(stub_broker: StubBroker) -> Counter[str]:
    found = next(each for each in stub_broker.middleware if isinstance(each, Idempotency)).counts
    found.clear()
    return found


def charging(ran: list[int], **options: Any) -> Actor[..., int]:
    def charge(order_id: int) -> int:
        ran.append(order_id)
        return order_id * 100

    return actor(idempotency_key="charge:{order_id}", lease=LEASE_MS, **options)(charge)


def held(owner: str = "another", **options: Any) -> Claim:
    """The claim of message *owner*, which some worker is at, on the key of order 1."""
    return claim(
        assembly.store(),
        key="charge:1",
        owner=owner,
        **{"digest": digest("charge", "charge:1"), "lease_ms": LEASE_MS, **options},
    )


def test_while_another_message_runs_a_duplicate_is_skipped(
    stub_broker: StubBroker, counts: Counter[str], ran: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="middleware")
    holder = held()
    message = charging(ran).send(1)

    assert [attempt.outcome for attempt in drain().attempts] == ["skipped"]
    assert (ran, enqueued(), stub_broker.dead_letters, counts) == ([], [], [], {"duplicate": 1})
    assert f"duplicate: message {message.message_id} of charge, key 'charge:1': message another holds it" in caplog.text
    assert finish(assembly.store(), holder, Ending.DONE)


def test_while_another_message_runs_one_that_waits_looks_again_each_second(
    stub_broker: StubBroker, counts: Counter[str], ran: list[int]
) -> None:
    # Given a message with a key that another holds
    holder = held()
    message = charging(ran, on_duplicate="wait").send(1)

    # When it is delivered twice before the other ends
    for _ in range(2):
        drain()
        (waiting,) = enqueued()
        assert (waiting.message_id, waiting.delay) == (message.message_id, timedelta(seconds=1))
        assert "retries" not in waiting.options
        stub_broker.clock.advance(timedelta(seconds=1))
    finish(assembly.store(), holder, Ending.FAILED)

    # Then it runs at the next look
    assert drain().done == 1
    assert (ran, enqueued(), counts) == ([1], [], {"later": 2})


def test_a_message_that_waits_looks_again_when_the_lease_ends_if_that_is_sooner(
    stub_broker: StubBroker, ran: list[int]
) -> None:
    held(lease_ms=400)
    charging(ran, on_duplicate="wait").send(1)

    drain()
    assert enqueued()[0].delay == timedelta(milliseconds=401)
    assert (drain(with_delays=True).done, ran) == (1, [1])


def test_while_another_message_runs_a_duplicate_may_be_an_error(
    stub_broker: StubBroker, counts: Counter[str], ran: list[int]
) -> None:
    holder = held()
    message = charging(ran, on_duplicate="error").send(1)

    assert drain(raises=False).dead == 1
    (letter,) = stub_broker.dead_letters
    assert letter.message_id == message.message_id
    assert letter.options["traceback"] == "idempotency key 'charge:1': duplicate: message another holds it"
    assert (ran, counts) == ([], {"busy": 1})
    assert finish(assembly.store(), holder, Ending.DONE)


@pytest.mark.parametrize(
    "options", [{"on_success": "report"}, {"pipe_target": {"actor_name": "ship"}}, {"group_completion_uuid": "g"}]
)
def test_a_duplicate_that_something_waits_for_is_not_skipped(
    stub_broker: StubBroker, ran: list[int], options: dict[str, Any]
) -> None:
    held()
    charge = charging(ran)
    stub_broker.enqueue(charge.message(1).copy(options=options))

    drain()

    assert [message.delay for message in enqueued(charge)] == [timedelta(seconds=1)]


@pytest.mark.parametrize("on_duplicate", ["skip", "wait", "error"])
def test_while_the_same_message_runs_a_copy_waits_for_the_rest_of_its_lease(
    stub_broker: StubBroker, counts: Counter[str], ran: list[int], on_duplicate: str
) -> None:
    # Given a copy of a message, which has failed twice and runs now for the third time
    charge = charging(ran, on_duplicate=on_duplicate)
    message = charge.message(1).copy(options={"retries": 2})
    held(owner=message.message_id)
    stub_broker.clock.advance(timedelta(seconds=10))
    stub_broker.enqueue(message)

    # When it is delivered
    assert [attempt.outcome for attempt in drain().attempts] == ["skipped"]

    # Then it comes again once the lease may be over, since it may be the only copy, and no attempt is spent
    (waiting,) = enqueued()
    assert (waiting.message_id, waiting.delay) == (message.message_id, timedelta(milliseconds=20_001))
    assert waiting.options["retries"] == 2
    assert (ran, counts) == ([], {"later": 1})
    assert (drain(with_delays=True).done, ran) == (1, [1])


def test_what_is_done_is_not_done_again(stub_broker: StubBroker, counts: Counter[str], ran: list[int]) -> None:
    charge = charging(ran)
    charge.send(1)
    drain()
    stub_broker.enqueue(charge.send(1))

    assert [attempt.outcome for attempt in drain().attempts] == ["skipped", "skipped"]
    assert (ran, stub_broker.dead_letters, counts) == ([1], [], {"duplicate": 2})


def test_a_key_belongs_to_the_arguments_that_used_it_first(
    stub_broker: StubBroker, counts: Counter[str], ran: list[int]
) -> None:
    charge = charging(ran)
    first = charge.send_with_options(args=(1,), idempotency_key="order")
    drain()
    second = charge.send_with_options(args=(2,), idempotency_key="order")

    assert drain(raises=False).dead == 1
    (letter,) = stub_broker.dead_letters
    assert letter.message_id == second.message_id
    assert letter.options["traceback"] == (
        f"idempotency key 'order': conflict: message {first.message_id} has used it with other arguments"
    )
    assert (ran, counts, enqueued()) == ([1], {"conflict": 1}, [])


def test_a_conflict_is_dead_at_once_even_while_the_other_runs(stub_broker: StubBroker, ran: list[int]) -> None:
    charge = charging(ran, on_duplicate="wait")
    other = fingerprint(charge.policy.signature, (2,), {})
    holder = held(fingerprint=other)
    charge.send(1)

    assert drain(raises=False).dead == 1
    assert (ran, enqueued()) == ([], [])
    assert finish(assembly.store(), holder, Ending.DONE)


def test_the_same_arguments_given_in_another_way_are_no_conflict(stub_broker: StubBroker, ran: list[int]) -> None:
    charge = charging(ran)
    charge.send(1)
    charge.send(order_id=1)

    assert [attempt.outcome for attempt in drain().attempts] == ["done", "skipped"]


def test_a_key_that_is_released_runs_again(stub_broker: StubBroker, ran: list[int]) -> None:
    charge = charging(ran)
    charge.send(1)
    drain()
    assembly.store().release(digest("charge", "charge:1"))
    charge.send(1)

    assert (drain().done, ran) == (1, [1, 1])


def test_a_message_whose_key_is_taken_over_while_it_runs_leaves_nothing(
    stub_broker: StubBroker, counts: Counter[str]
) -> None:
    # Given an actor whose key becomes another's while it runs, and whose outcome would have consequences
    taken: list[Claim] = []

    @actor(idempotency_key="charge:1", on_success="report", on_failure="report", max_retries=3)
    def charge(fails: bool) -> str:
        assembly.store().release(digest("charge", "charge:1"), force=True)
        taken.append(held())
        if fails:
            raise ConnectionError
        return "mine"

    @actor
    def report(*_: Any) -> None:
        raise NotImplementedError

    for fails in (False, True):
        charge.send(fails)

        # When it ends
        drain(raises=False)

        # Then it has no result, no callback, no retry and no dead letter
        assert (enqueued(), stub_broker.dead_letters) == ([], [])
        assert finish(assembly.store(), taken[-1], Ending.FORGOTTEN)
    assert counts == {"stale": 2}


def test_a_final_failure_of_a_message_whose_key_was_taken_over_is_not_dead_lettered(
    stub_broker: StubBroker, counts: Counter[str]
) -> None:
    @actor(idempotency_key="charge:1", max_retries=0)
    def charge() -> None:
        assembly.store().release(digest("charge", "charge:1"), force=True)
        held()
        raise ConnectionError

    charge.send()
    drain(raises=False)

    assert (enqueued(), stub_broker.dead_letters, counts) == ([], [], {"stale": 1})
