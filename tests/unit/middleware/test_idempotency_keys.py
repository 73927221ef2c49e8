"""Which messages are one to the store: those with the same key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import dramatiq
import pytest

from actors import actor, assembly, enqueue_many
from actors.testing import StubBroker, drain, enqueued
from middleware.keys import InvalidKey, digest
from tests.conformance.stores.subject import claim


@pytest.fixture
def ran() -> list[Any]:
    return []


def test_a_message_that_is_published_twice_runs_once(stub_broker: StubBroker, ran: list[Any]) -> None:
    charge = actor(actor_name="charge")(ran.append)
    message = charge.send(1)
    stub_broker.enqueue(message)

    drained = drain()

    assert [attempt.outcome for attempt in drained.attempts] == ["done", "skipped"]
    assert ran == [1]
    assert stub_broker.dead_letters == []


def test_messages_without_a_key_of_their_own_run_each(stub_broker: StubBroker, ran: list[Any]) -> None:
    charge = actor(actor_name="charge")(ran.append)
    charge.send(1)
    charge.send(1)

    assert drain().done == 2
    assert ran == [1, 1]


def test_a_template_makes_messages_with_the_same_arguments_one(stub_broker: StubBroker) -> None:
    ran: list[tuple[int, int]] = []

    @actor(idempotency_key="charge:{order_id}")
    def charge(order_id: int, cents: int = 0) -> None:
        ran.append((order_id, cents))

    charge.send(1)
    charge.send(order_id=1)
    charge.send(2, cents=3)
    assert [message.options["idempotency_key"] for message in enqueued()] == ["charge:1", "charge:1", "charge:2"]

    assert (drain().done, ran) == (2, [(1, 0), (2, 3)])


def test_a_function_makes_the_key_of_the_arguments_as_they_were_given(stub_broker: StubBroker) -> None:
    seen: list[Any] = []

    def key(day: date, cents: Decimal) -> str:
        seen.append((day, cents))
        return f"{day:%Y-%m}"

    @actor(idempotency_key=key)
    def settle(day: date, cents: Decimal) -> None: ...

    settle.send(date(2026, 1, 31), Decimal("9.90"))
    drain()

    assert seen == [(date(2026, 1, 31), Decimal("9.90"))]
    record = assembly.store().inspect(digest("settle", "2026-01"))
    assert record is not None
    assert record.key == "2026-01"


def test_a_key_that_is_given_at_send_comes_before_the_actors(stub_broker: StubBroker, ran: list[Any]) -> None:
    def charge(order_id: int) -> None:
        ran.append(order_id)

    charging = actor(idempotency_key="charge:{order_id}")(charge)
    charging.send_with_options(args=(1,), idempotency_key="invoice 7")
    charging.send_with_options(args=(1,), idempotency_key="invoice 7")
    charging.send(1)

    assert (drain().done, ran) == (2, [1, 1])


def test_messages_of_a_batch_have_their_keys(stub_broker: StubBroker, ran: list[Any]) -> None:
    @actor(idempotency_key="charge:{order_id}")
    def charge(order_id: int) -> None:
        ran.append(order_id)

    enqueue_many(charge.message(number) for number in (1, 2, 1))

    assert (drain().done, ran) == (2, [1, 2])


@pytest.mark.parametrize("spec", ["{order_id.cents}", lambda order_id: order_id["cents"], lambda order_id: ""])
def test_a_key_that_can_not_be_made_is_the_senders_error(
    stub_broker: StubBroker, spec: str | Callable[[Any], str]
) -> None:
    def charge(order_id: int) -> None: ...

    charging = actor(idempotency_key=spec)(charge)

    with pytest.raises(InvalidKey, match=r"^actor 'charge': idempotency_key "):
        charging.send(1)
    assert enqueued() == []


def test_the_key_of_a_retry_is_that_of_its_first_attempt(stub_broker: StubBroker) -> None:
    keys = iter(["first", "second"])
    fails = iter([True, False])

    def charge() -> None:
        if next(fails):
            raise ConnectionError

    actor(idempotency_key=lambda: next(keys))(charge).send()

    assert drain(retries=True, with_delays=True).done == 1
    assert next(keys) == "second"


def test_a_message_from_a_sender_that_knows_no_keys_gets_its_own_in_the_worker(
    stub_broker: StubBroker, ran: list[Any]
) -> None:
    # Given messages of a plain Dramatiq producer, in whose place no hook has made a key
    @actor(idempotency_key="report:{day:%Y}")
    def report(day: date) -> None:
        ran.append(day)

    for message in [report.message(date(2026, 1, 1)), report.message(date(2026, 1, 1))]:
        foreign(stub_broker, message)

    # When they are delivered
    drained = drain()

    # Then the key is made of arguments that have their types again
    assert [attempt.outcome for attempt in drained.attempts] == ["done", "skipped"]
    assert ran == [date(2026, 1, 1)]
    assert assembly.store().inspect(digest("report", "report:2026")) is not None


@pytest.mark.parametrize(
    "options", [{"lease": "long"}, {"idempotency_key": 7}, {"idempotency_key": "k", "idempotent": False}]
)
def test_a_message_whose_options_can_not_be_used_is_dead(stub_broker: StubBroker, options: dict[str, Any]) -> None:
    @actor
    def charge() -> None:
        raise NotImplementedError

    foreign(stub_broker, charge.message().copy(options=options))

    assert drain(raises=False).dead == 1
    assert str(stub_broker.dead_letters[0].options["traceback"]).startswith("actor 'charge': ")


def test_a_message_of_which_the_worker_can_make_no_key_is_dead(stub_broker: StubBroker) -> None:
    @actor(idempotency_key="report:{day:%Y}")
    def report(day: date) -> None:
        raise NotImplementedError

    foreign(stub_broker, report.message(date(2026, 1, 1)).copy(args=["some day"]))

    drained = drain(raises=False)
    assert drained.dead == 1
    assert "day: Input should be a valid date" in str(drained.attempts[0].error)


def test_a_key_is_unique_in_its_actor_unless_a_scope_is_shared(stub_broker: StubBroker, ran: list[Any]) -> None:
    for name, scope in [("a", "a"), ("b", "b"), ("c", "shop"), ("d", "shop")]:
        options: Any = {} if scope == name else {"scope": scope}
        actor(actor_name=name, idempotency_key="order", **options)(lambda name=name: ran.append(name)).send()

    drain()

    assert ran == ["a", "b", "c"]


def test_a_message_of_an_unguarded_actor_runs_as_often_as_it_comes(stub_broker: StubBroker, ran: list[Any]) -> None:
    charge = actor(actor_name="charge", idempotent=False)(ran.append)
    message = charge.send(1)
    stub_broker.enqueue(message)

    assert (drain().done, ran) == (2, [1, 1])
    assert assembly.store().list_open() == ([], "")


def test_a_message_with_a_key_of_its_own_is_guarded_where_its_actor_is_not(
    stub_broker: StubBroker, ran: list[Any]
) -> None:
    charge = actor(actor_name="charge", idempotent=False)(ran.append)
    for _ in range(2):
        charge.send_with_options(args=(1,), idempotency_key="order 1")

    assert (drain().done, ran) == (1, [1])


def test_a_message_may_be_unguarded_where_its_actor_is_not(stub_broker: StubBroker, ran: list[Any]) -> None:
    def charge(order_id: int) -> None:
        ran.append(order_id)

    charging = actor(idempotency_key="charge:{order_id}")(charge)
    charging.send(1)
    charging.send_with_options(args=(1,), idempotent=False)

    assert (drain().done, ran) == (2, [1, 1])


def test_a_message_is_remembered_for_as_long_as_it_says(stub_broker: StubBroker, ran: list[Any]) -> None:
    charge = actor(actor_name="charge", idempotency_ttl=timedelta(days=1))(ran.append)
    options: Any = {"idempotency_key": "order", "idempotency_ttl": timedelta(hours=1)}
    charge.send_with_options(args=(1,), **options)
    drain()

    stub_broker.clock.advance(timedelta(minutes=59))
    charge.send_with_options(args=(1,), **options)
    drain()
    stub_broker.clock.advance(timedelta(minutes=1))
    charge.send_with_options(args=(1,), **options)
    drain()

    assert ran == [1, 1]


def test_what_a_message_says_of_a_held_key_comes_before_what_its_actor_says(
    stub_broker: StubBroker, ran: list[Any]
) -> None:
    charge = actor(actor_name="charge", on_duplicate="error")(ran.append)
    claim(assembly.store(), key="order", digest=digest("charge", "order"), owner="another")
    charge.send_with_options(args=(1,), idempotency_key="order", on_duplicate="skip")

    assert [attempt.outcome for attempt in drain().attempts] == ["skipped"]
    assert stub_broker.dead_letters == []


def foreign(broker: StubBroker, message: dramatiq.Message[Any]) -> None:
    """Put *message* into its queue without the hooks of a sender."""
    before = broker.middleware
    broker.middleware = []
    try:
        broker.enqueue(message)
    finally:
        broker.middleware = before
