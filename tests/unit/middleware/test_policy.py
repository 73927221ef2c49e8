from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from dramatiq.middleware import MiddlewareError

from middleware.keys import InvalidKey
from middleware.options import InvalidPolicy, milliseconds
from middleware.policy import DURATIONS, OPTIONS, Defaults, Policy, PolicyOptions

DAY_MS = 86_400_000
TEN_YEARS_MS = 3_660 * DAY_MS


def charge(order_id: int, cents: int = 0) -> None: ...


def policy(defaults: Defaults | None = None, **options: Any) -> Policy:
    return Policy.of(options, charge, "charge", defaults or Defaults())


def refusal(**options: Any) -> str:
    with pytest.raises(InvalidPolicy) as error:
        policy(**options)
    return str(error.value)


def values(of: Policy) -> dict[str, Any]:
    return {name: getattr(of, name) for name in Policy.__slots__ if name not in {"signature", "key"}}


def test_an_actor_that_says_nothing_is_guarded_by_its_message_ids() -> None:
    silent = Policy.of({}, charge, "charge")

    assert silent.key is None
    assert list(silent.signature.parameters) == ["order_id", "cents"]
    assert values(silent) == {
        "actor_name": "charge",
        "scope": "charge",
        "idempotent": True,
        "ttl_ms": DAY_MS,
        "lease_ms": 30_000,
        "on_duplicate": "skip",
        "on_lost": "run",
        "max_losses": 3,
        "on_outage": "wait",
        "on_failed": "free",
        "store_results": True,
    }


def test_an_actor_says_what_differs() -> None:
    given: dict[str, Any] = {
        "scope": "payments",
        "on_duplicate": "wait",
        "on_lost": "park",
        "max_losses": 1,
        "on_outage": "run",
        "on_failed": "hold",
        "store_results": False,
    }
    strict = policy(**given, idempotency_ttl=timedelta(days=7), lease=timedelta(minutes=5), max_retries=3)

    assert values(strict) == {
        **given,
        "actor_name": "charge",
        "idempotent": True,
        "ttl_ms": 7 * DAY_MS,
        "lease_ms": 300_000,
    }


def test_an_actor_with_a_key_has_something_that_makes_it() -> None:
    keyed = policy(idempotency_key="charge:{order_id}")

    assert keyed.key is not None
    assert keyed.key((42,), {}) == "charge:42"
    assert policy(idempotent=False).idempotent is False


def test_defaults_hold_where_an_actor_says_nothing() -> None:
    settings = Defaults(ttl_ms=5_000, lease_ms=500, store_results=False)

    silent, telling = policy(settings), policy(settings, idempotency_ttl=6_000, lease=600, store_results=True)

    assert (silent.ttl_ms, silent.lease_ms, silent.store_results) == (5_000, 500, False)
    assert (telling.ttl_ms, telling.lease_ms, telling.store_results) == (6_000, 600, True)


@pytest.mark.parametrize(
    ("duration", "ms"),
    [
        (timedelta(0), 0),
        (timedelta(milliseconds=100), 100),
        (timedelta(microseconds=100_001), 101),
        (timedelta(days=30), 30 * DAY_MS),
        (timedelta(microseconds=-1_500), -1),
    ],
)
def test_a_timedelta_is_rounded_up_to_milliseconds(duration: timedelta, ms: int) -> None:
    assert milliseconds(duration) == ms


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("on_duplicate", "skp", "'skip', 'wait' or 'error', did you mean 'skip'?"),
        ("on_duplicate", "later", "'skip', 'wait' or 'error'"),
        ("on_duplicate", None, "'skip', 'wait' or 'error'"),
        ("on_duplicate", ["skip"], "'skip', 'wait' or 'error'"),
        ("on_lost", "parked", "'run' or 'park', did you mean 'park'?"),
        ("on_outage", "Wait", "'wait' or 'run', did you mean 'wait'?"),
        ("on_failed", True, "'free' or 'hold'"),
        ("idempotent", 1, "True or False"),
        ("idempotent", None, "True or False"),
        ("store_results", "yes", "True or False"),
        ("max_losses", 0, "an int of at least 1"),
        ("max_losses", True, "an int of at least 1"),
        ("max_losses", 1.0, "an int of at least 1"),
        ("scope", "", "a str that is not empty"),
        ("scope", 7, "a str that is not empty"),
    ],
)
def test_a_value_that_could_not_work_is_refused_saying_what_is_allowed(option: str, value: Any, allowed: str) -> None:
    text = f"actor 'charge': {option}={value!r} must be {allowed}"

    assert refusal(**{option: value}) == text
    with pytest.raises(InvalidPolicy) as error:
        policy().overridden_by({option: value})
    assert str(error.value) == text


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "30", None, timedelta(0), timedelta(days=4_000), 10**20])
@pytest.mark.parametrize(("option", "least"), [("lease", 100), ("idempotency_ttl", 1)])
def test_a_duration_is_positive_milliseconds_or_a_timedelta(option: str, least: int, value: Any) -> None:
    assert refusal(**{option: value}) == (
        f"actor 'charge': {option}={value!r} must be an int of milliseconds, or a timedelta, "
        f"from {least} ms to 10 years"
    )


def test_a_lease_has_a_least_length_and_a_record_a_greatest() -> None:
    assert policy(lease=100, idempotency_ttl=100).lease_ms == 100
    assert policy(idempotency_ttl=TEN_YEARS_MS).ttl_ms == TEN_YEARS_MS
    assert "from 100 ms" in refusal(lease=99)
    assert "to 10 years" in refusal(idempotency_ttl=TEN_YEARS_MS + 1)


@pytest.mark.parametrize(
    ("options", "ttl", "lease"),
    [
        ({"idempotency_ttl": 29_999}, "29,999", "30,000"),
        ({"lease": timedelta(days=2)}, "86,400,000", "172,800,000"),
        ({"idempotency_ttl": 200, "lease": 201}, "200", "201"),
    ],
)
def test_a_record_that_would_not_outlive_its_lease_is_refused(options: dict[str, Any], ttl: str, lease: str) -> None:
    assert refusal(**options) == (
        f"actor 'charge': idempotency_ttl={ttl} ms is shorter than lease={lease} ms; "
        "the record would be forgotten while its work runs"
    )


def test_a_key_that_nothing_would_use_is_refused() -> None:
    text = "actor 'charge': idempotency_key has no effect with idempotent=False; remove one of them"

    assert refusal(idempotency_key="{order_id}", idempotent=False) == text
    with pytest.raises(InvalidPolicy) as error:
        policy().overridden_by({"idempotency_key": "42", "idempotent": False})
    assert str(error.value) == text


def test_a_key_that_does_not_fit_the_function_is_refused() -> None:
    with pytest.raises(InvalidKey, match=r"names unknown argument 'oder_id', did you mean 'order_id'\?$"):
        policy(idempotency_key="{oder_id}")
    with pytest.raises(InvalidKey, match=r"idempotency_key=None must be a format string or a function$"):
        policy(idempotency_key=None)


def test_a_message_says_what_differs_from_its_actor() -> None:
    of_actor = policy(idempotency_key="{order_id}", on_lost="park", lease=1_000)

    of_message = of_actor.overridden_by(
        {"lease": 2_000, "idempotency_ttl": 5_000, "on_duplicate": "error", "scope": "other", "retries": 3}
    )

    assert values(of_message) == {
        **values(of_actor),
        "lease_ms": 2_000,
        "ttl_ms": 5_000,
        "on_duplicate": "error",
        "scope": "other",
    }
    assert (of_message.key, of_message.signature) == (of_actor.key, of_actor.signature)


@pytest.mark.parametrize("options", [{}, {"retries": 1, "traceback": "…"}, {"idempotency_key": "charge:42"}])
def test_a_message_that_changes_nothing_has_the_policy_of_its_actor(options: dict[str, Any]) -> None:
    of_actor = policy(idempotency_key="{order_id}")

    assert of_actor.overridden_by(options) is of_actor


def test_a_message_can_do_without_the_guard_and_the_key_of_its_actor() -> None:
    unguarded = policy(idempotency_key="{order_id}").overridden_by({"idempotent": False})

    assert (unguarded.idempotent, unguarded.key) == (False, None)


@pytest.mark.parametrize("options", [{"idempotent": True}, {"idempotency_key": "charge:42"}])
def test_a_message_can_have_a_guard_that_its_actor_has_not(options: dict[str, Any]) -> None:
    assert policy(idempotent=False).overridden_by(options).idempotent is True


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (42, "the key is 42, not a str"),
        ("", "the key is empty, so that unrelated calls would share it"),
        (
            "x" * 1_025,
            "the key has 1,025 characters, over the limit of 1,024; put a hash of the longest part in its place",
        ),
    ],
)
def test_a_message_has_a_key_that_is_one(key: Any, problem: str) -> None:
    with pytest.raises(InvalidKey) as error:
        policy().overridden_by({"idempotency_key": key})

    assert str(error.value) == f"actor 'charge': idempotency_key of a message: {problem}"


def test_the_key_of_a_message_is_not_a_template() -> None:
    assert policy().overridden_by({"idempotency_key": "{oder_id"}) == policy()


@pytest.mark.parametrize("option", sorted(DURATIONS))
def test_a_duration_travels_as_milliseconds(option: str) -> None:
    with pytest.raises(InvalidPolicy) as error:
        policy().overridden_by({option: timedelta(days=1)})

    assert str(error.value) == f"actor 'charge': {option}= must be an int of milliseconds in a message"


def test_a_message_can_not_make_its_record_shorter_than_its_lease() -> None:
    with pytest.raises(InvalidPolicy, match=r"idempotency_ttl=86,400,000 ms is shorter than lease=86,400,001 ms"):
        policy().overridden_by({"lease": DAY_MS + 1})


def test_the_error_stops_a_message_from_within_a_hook() -> None:
    assert issubclass(InvalidPolicy, MiddlewareError)
    assert issubclass(InvalidPolicy, ValueError)


def test_every_option_is_declared_once() -> None:
    """Dramatiq's Results declares store_results; whether and how there is a key differs for actor and message."""
    assert {*PolicyOptions.__annotations__, "idempotency_key"} - {"store_results"} == OPTIONS
    assert len(OPTIONS) == 10
