"""The options of idempotency, from the decorator into the message."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from actors import actor
from actors.errors import DeclarationError
from actors.testing import StubBroker, enqueued


def declare(**options: Any) -> None:
    def charge(order_id: int, cents: int = 0) -> None: ...

    actor(**options)(charge)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DeclarationError) as error:
        call()
    return str(error.value)


def test_an_actor_keeps_its_options_as_they_are_given_and_their_policy(stub_broker: StubBroker) -> None:
    @actor(idempotency_key="charge:{order_id}", idempotency_ttl=timedelta(days=7), lease=5_000, on_lost="park")
    def charge(order_id: int, cents: int = 0) -> None: ...

    assert charge.options == {
        "idempotency_key": "charge:{order_id}",
        "idempotency_ttl": timedelta(days=7),
        "lease": 5_000,
        "on_lost": "park",
    }
    assert (charge.policy.ttl_ms, charge.policy.lease_ms) == (604_800_000, 5_000)
    assert charge.policy.key is not None
    assert charge.policy.key((42,), {}) == "charge:42"


def test_the_key_of_an_async_actor_is_made_of_its_arguments(stub_broker: StubBroker) -> None:
    @actor(idempotency_key=lambda url, *, depth: f"{url}@{depth}")
    async def fetch(url: str, *, depth: int = 1) -> None: ...

    assert fetch.policy.key is not None
    assert fetch.policy.key(("a",), {}) == "a@1"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"idempotency_key": "charge:{oder_id}"},
            "idempotency_key 'charge:{oder_id}' names unknown argument 'oder_id', did you mean 'order_id'?",
        ),
        (
            {"on_duplicate": "skp"},
            "on_duplicate='skp' must be 'skip', 'wait' or 'error', did you mean 'skip'?",
        ),
        (
            {"idempotency_ttl": timedelta(seconds=1)},
            "idempotency_ttl=1,000 ms is shorter than lease=30,000 ms; "
            "the record would be forgotten while its work runs",
        ),
        ({"idempotency_kye": "x"}, "unknown option 'idempotency_kye', did you mean 'idempotency_key'?"),
    ],
)
def test_options_that_could_not_work_are_refused_at_declaration(
    stub_broker: StubBroker, options: dict[str, Any], problem: str
) -> None:
    assert refusal(lambda: declare(**options)) == f"actor 'charge': {problem}"
    assert "charge" not in stub_broker.actors


def test_options_of_a_message_travel_with_durations_in_milliseconds(stub_broker: StubBroker) -> None:
    @actor
    def charge(order_id: int) -> None: ...

    charge.send_with_options(
        args=(42,),
        idempotency_key="charge:42",
        idempotency_ttl=timedelta(days=2),
        lease=timedelta(microseconds=1_000_001),
        on_duplicate="wait",
        on_lost="park",
        max_losses=1,
        on_outage="run",
        on_failed="hold",
        scope="payments",
    )

    (message,) = enqueued(charge)
    assert message.options == {
        "idempotency_key": "charge:42",
        "idempotency_ttl": 172_800_000,
        "lease": 1_001,
        "on_duplicate": "wait",
        "on_lost": "park",
        "max_losses": 1,
        "on_outage": "run",
        "on_failed": "hold",
        "scope": "payments",
    }


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"on_duplicate": "skp"}, "on_duplicate='skp' must be 'skip', 'wait' or 'error', did you mean 'skip'?"),
        ({"lease": True}, "lease=True must be an int of milliseconds, or a timedelta, from 100 ms to 10 years"),
        ({"lease": timedelta(0)}, "lease=0 must be an int of milliseconds, or a timedelta, from 100 ms to 10 years"),
        (
            {"idempotency_key": ""},
            "idempotency_key of a message: the key is empty, so that unrelated calls would share it",
        ),
        ({"idempotency_key": 42}, "idempotency_key of a message: the key is 42, not a str"),
        (
            {"idempotency_key": "x", "idempotent": False},
            "idempotency_key has no effect with idempotent=False; remove one of them",
        ),
        ({"idempotency_kye": "x"}, "unknown option 'idempotency_kye', did you mean 'idempotency_key'?"),
    ],
)
def test_options_that_could_not_work_are_refused_at_send(
    stub_broker: StubBroker, options: dict[str, Any], problem: str
) -> None:
    @actor
    def charge(order_id: int) -> None: ...

    send = refusal(lambda: charge.send_with_options(args=(42,), **options))
    message = refusal(lambda: charge.message_with_options(args=(42,), **options))

    assert send == message == f"actor 'charge': {problem}"
    assert enqueued() == []


def test_options_of_a_message_are_held_against_those_of_its_actor(stub_broker: StubBroker) -> None:
    @actor(lease=2_000, idempotency_ttl=3_000)
    def charge(order_id: int) -> None: ...

    assert "shorter than lease=4,000 ms" in refusal(lambda: charge.send_with_options(args=(42,), lease=4_000))
    charge.send_with_options(args=(42,), lease=4_000, idempotency_ttl=4_000)
    assert len(enqueued(charge)) == 1
