from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import dramatiq
import pytest
from dramatiq.middleware import MiddlewareError
from hypothesis import given
from hypothesis import strategies as st

from actors.encoding import Encoder
from middleware.keys import MAX_KEY_CHARS, InvalidKey, KeyMaker, digest, fingerprint


@dataclass
class Order:
    id: int
    tags: list[str]


def charge(order_id: int, cents: int = 0, *, note: str = "") -> None: ...


def pay(order: Order, when: datetime) -> None: ...


def fetch(*urls: str, **headers: str) -> None: ...


def nightly() -> None: ...


def refusal(spec: Any, fn: Callable[..., None] = charge) -> str:
    with pytest.raises(InvalidKey) as error:
        KeyMaker(spec, fn, fn.__name__)
    return str(error.value)


def failure(maker: KeyMaker, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(InvalidKey) as error:
        maker(args, kwargs)
    return str(error.value)


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("charge:{order_id}", "charge:42"),
        ("{order_id}/{cents}", "42/0"),
        ("{order_id:08d}", "00000042"),
        ("{order_id!r}|{note!r:>4}", "42|  ''"),
        ("{order_id:{cents}d}", "42"),
        ("{order_id!s:>{cents}}", "42"),
        ("{{order_id}}:{order_id}", "{order_id}:42"),
    ],
)
def test_a_template_is_a_format_string_over_the_arguments_and_defaults(template: str, key: str) -> None:
    maker = KeyMaker(template, charge, "charge")

    assert maker((42,), {}) == maker((), {"order_id": 42}) == key


@pytest.mark.parametrize(
    ("template", "key"),
    [("pay:{order.id}", "pay:7"), ("{when:%Y-%m}", "2026-03"), ("{order.tags[0]}@{when.year}", "new@2026")],
)
def test_a_template_reaches_into_arguments_and_formats_them(template: str, key: str) -> None:
    arguments = {"order": Order(7, ["new"]), "when": datetime(2026, 3, 1, tzinfo=UTC)}

    assert KeyMaker(template, pay, "pay")((), arguments) == key


def test_a_template_names_variable_arguments_as_the_function_does() -> None:
    maker = KeyMaker("{urls[0]} {headers[accept]}", fetch, "fetch")

    assert maker(("a", "b"), {"accept": "*"}) == "a *"
    assert KeyMaker("{urls}{headers}", fetch, "fetch")((), {}) == "(){}"


def test_a_template_without_fields_is_one_key_for_all_calls() -> None:
    assert KeyMaker("nightly", nightly, "nightly")((), {}) == "nightly"


def test_a_function_gets_the_arguments_and_defaults_of_the_actor() -> None:
    def by_order(order_id: int, cents: int, *, note: str) -> str:
        return f"{order_id}/{cents}/{note}"

    maker = KeyMaker(by_order, charge, "charge")

    assert maker((42,), {}) == maker((), {"order_id": 42}) == "42/0/"
    assert maker((42, 999), {"note": "x"}) == "42/999/x"


@pytest.mark.parametrize(
    "function", [lambda order_id, *_, **__: f"{order_id}", lambda *args, **kwargs: str(args[0]), "{}".format]
)
def test_a_function_may_take_more_than_the_actor_does(function: Callable[..., str]) -> None:
    assert KeyMaker(function, charge, "charge")((42, 999), {}) == "42"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("charge:{oder_id}", " 'charge:{oder_id}' names unknown argument 'oder_id', did you mean 'order_id'?"),
        ("{order_id:{width}}", " '{order_id:{width}}' names unknown argument 'width'"),
        ("{ order_id }", " '{ order_id }' names unknown argument ' order_id ', did you mean 'order_id'?"),
        ("{}", " '{}' has a field that names no argument; write {order_id} or {cents} or {note}"),
        ("{0}", " '{0}' has a field that names no argument; write {order_id} or {cents} or {note}"),
        ("{0.id}", " '{0.id}' has a field that names no argument; write {order_id} or {cents} or {note}"),
        ("{[id]}", " '{[id]}' has a field that names no argument; write {order_id} or {cents} or {note}"),
        ("{order_id", " '{order_id' is malformed: expected '}' before end of string; a brace itself is {{ or }}"),
        (
            "order_id}",
            " 'order_id}' is malformed: Single '}' encountered in format string; a brace itself is {{ or }}",
        ),
        ("", " '': the key is empty, so that unrelated calls would share it"),
        (None, "=None must be a format string or a function"),
        (42, "=42 must be a format string or a function"),
        (b"x", "=b'x' must be a format string or a function"),
    ],
)
def test_a_key_that_could_never_work_is_refused_when_it_is_declared(spec: Any, problem: str) -> None:
    assert refusal(spec) == f"actor 'charge': idempotency_key{problem}"


@pytest.mark.parametrize("template", ["{order_id.}", "{order_id!z}", "{order_id[}", "{order_id:{cents:{note:{note}}}}"])
def test_other_malformed_templates_are_refused_too(template: str) -> None:
    assert refusal(template).startswith(f"actor 'charge': idempotency_key {template!r} is malformed: ")


def test_a_template_that_is_too_long_whatever_the_arguments_is_refused() -> None:
    assert "the key has 1,025 characters" in refusal("x" * 1_025)


def test_an_actor_without_arguments_has_none_to_name() -> None:
    assert refusal("{}", nightly).endswith("has a field that names no argument; the actor takes none")


def test_a_function_that_does_not_take_what_the_actor_takes_is_refused() -> None:
    def by_order(order_id: int) -> str:
        return f"{order_id}"

    async def by_waiting(order_id: int, cents: int, *, note: str) -> str:
        return f"{order_id}"

    assert refusal(by_order) == (
        "actor 'charge': idempotency_key function 'by_order' does not take the actor's arguments: "
        "too many positional arguments; give it the same parameters"
    )
    assert refusal(by_waiting) == (
        "actor 'charge': idempotency_key function 'by_waiting' is async; "
        "a key is made where the message is sent, by a plain function"
    )


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (42, "the key is 42, not a str"),
        (None, "the key is None, not a str"),
        (b"x", "the key is b'x', not a str"),
        ("", "the key is empty, so that unrelated calls would share it"),
        (
            "x" * 1_025,
            "the key has 1,025 characters, over the limit of 1,024; put a hash of the longest part in its place",
        ),
    ],
)
def test_what_is_no_key_is_refused_when_it_is_made(result: Any, problem: str) -> None:
    def by_mistake(*args: Any, **kwargs: Any) -> Any:
        return result

    maker = KeyMaker(by_mistake, charge, "charge")

    assert failure(maker, 42) == f"actor 'charge': idempotency_key function 'by_mistake': {problem}"


def test_a_key_may_have_as_many_characters_as_the_limit() -> None:
    assert len(KeyMaker("{note}", charge, "charge")((1,), {"note": "ä" * MAX_KEY_CHARS})) == MAX_KEY_CHARS


def test_a_function_that_raises_makes_no_key() -> None:
    def by_order(order_id: int, cents: int, *, note: str) -> str:
        raise LookupError("no such order")

    maker = KeyMaker(by_order, charge, "charge")

    assert failure(maker, 42) == (
        "actor 'charge': idempotency_key function 'by_order' failed: LookupError: no such order"
    )


def test_arguments_that_a_template_does_not_fit_make_no_key() -> None:
    when = KeyMaker("{when:%Y}{order.id}", pay, "pay")

    assert failure(when, {"id": 7}, date(2026, 1, 1)).endswith(
        " failed: AttributeError: 'dict' object has no attribute 'id'"
    )
    assert " failed: ValueError: Invalid format specifier" in failure(when, {"id": 7}, "2026-01-01")
    assert failure(when).endswith(" failed: TypeError: missing a required argument: 'order'")


def test_the_error_stops_a_send_from_within_a_hook() -> None:
    assert issubclass(InvalidKey, MiddlewareError)
    assert issubclass(InvalidKey, ValueError)


def test_a_digest_stays_the_same_for_ever() -> None:
    """Records in stores are named by it: a change here forgets them all."""
    assert digest("charge", "charge:42") == "v1.fd6997b2f15f3390dee60ce8f6c1c1c2"


TEXTS = st.text(st.characters(), max_size=8) | st.text("1:é", max_size=6)


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_digests_of_different_scopes_or_keys_differ(scope: str, key: str, other_scope: str, other_key: str) -> None:
    same = (scope, key) == (other_scope, other_key)

    assert (digest(scope, key) == digest(other_scope, other_key)) is same


@given(TEXTS, st.integers(0, 8), st.integers(0, 8))
def test_where_the_scope_ends_and_the_key_starts_makes_a_difference(text: str, cut: int, other: int) -> None:
    cut, other = min(cut, len(text)), min(other, len(text))

    same = digest(text[:cut], text[cut:]) == digest(text[:other], text[other:])

    assert same is (cut == other)


def test_text_that_is_not_unicode_has_a_digest_too() -> None:
    assert digest("charge", "\ud800") != digest("charge", "\ud801")


@pytest.fixture(autouse=True, scope="module")
def encoder() -> Iterator[Encoder]:
    """The encoder that Dramatiq uses in this module."""
    before, ours = dramatiq.get_encoder(), Encoder()
    dramatiq.set_encoder(ours)
    yield ours
    dramatiq.set_encoder(before)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Priority(IntEnum):
    LOW = 1
    HIGH = 10


class Weekday(Enum):
    MONDAY = 2


KEYS: st.SearchStrategy[Any] = (
    st.text(max_size=3)
    | st.integers(-20, 20)
    | st.uuids()
    | st.dates()
    | st.sampled_from(Colour)
    | st.sampled_from(Priority)
)
SCALARS: st.SearchStrategy[Any] = (
    KEYS
    | st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.binary(max_size=3)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.datetimes(timezones=st.just(UTC))
    | st.timedeltas()
    | st.sampled_from(Weekday)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.frozensets(KEYS, max_size=3),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.tuples(parts, parts)
        | st.dictionaries(KEYS, parts, max_size=3)
        | st.builds(Order, parts, st.lists(parts, max_size=2))
    ),
    max_leaves=6,
)
SIGNATURE = inspect.signature(charge)


def print_of(*args: Any, **kwargs: Any) -> str:
    return fingerprint(SIGNATURE, args, kwargs)


def as_json(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments as a worker finds them in the message."""
    message = Encoder().decode(Encoder().encode({"args": args, "kwargs": kwargs}))
    return tuple(message["args"]), message["kwargs"]


def shuffled(value: Any) -> Any:
    """Return *value* with the keys of all its dicts in the opposite order."""
    if isinstance(value, dict):
        return {key: shuffled(part) for key, part in reversed(value.items())}
    return [shuffled(part) for part in value] if isinstance(value, list) else value


@given(VALUES, VALUES)
def test_one_call_has_one_fingerprint_in_all_its_forms(order: Any, cents: Any) -> None:
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((order, cents), {}),
        ((order,), {"cents": cents}),
        ((), {"order_id": order, "cents": cents}),
        ((), {"cents": cents, "order_id": order}),
    ]
    in_json = [as_json(args, kwargs) for args, kwargs in calls]
    in_disorder = [(shuffled(list(args)), shuffled(kwargs)) for args, kwargs in in_json]

    prints = {fingerprint(SIGNATURE, args, kwargs) for args, kwargs in calls + in_json + in_disorder}

    assert len(prints) == 1
    assert all(len(each) == 16 and int(each, 16) >= 0 for each in prints)


@given(VALUES, VALUES)
def test_calls_that_differ_in_a_message_differ_in_their_fingerprints(left: Any, right: Any) -> None:
    def shape(value: Any) -> str:
        return json.dumps(as_json((value,), {}), sort_keys=True)

    assert (print_of(left) == print_of(right)) is (shape(left) == shape(right))


@given(VALUES)
def test_what_does_not_fit_the_function_is_compared_as_it_came(value: Any) -> None:
    args, kwargs = as_json((1, 2, value), {"cents": value})

    assert print_of(*args, **kwargs) == print_of(1, 2, value, cents=value) != print_of(1, 2, [value], cents=value)


def test_a_fingerprint_stays_the_same_for_ever() -> None:
    """It is kept in records: a change here makes every key that is in use a conflict."""
    assert print_of(42, 999) == "4bbfe817530c4d4e"
    assert print_of(42, [Decimal("9.99"), UUID(int=1)]) == "07c2ca4afe2ec64a"


def test_a_default_is_not_part_of_a_fingerprint() -> None:
    def charge_of_tomorrow(order_id: int, currency: str = "EUR", cents: int = 0, *, note: str = "") -> None: ...

    tomorrow = inspect.signature(charge_of_tomorrow)

    assert print_of(42) == fingerprint(tomorrow, (42,), {})
    assert print_of(42, cents=1) == fingerprint(tomorrow, (42,), {"cents": 1})
    assert print_of(42) != print_of(42, 0)


def test_variable_arguments_have_a_fingerprint_of_their_own() -> None:
    signature = inspect.signature(fetch)

    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {}),
        (("a",), {}),
        (("a", "b"), {}),
        ((), {"a": "b"}),
        (("a",), {"a": "b"}),
    ]

    assert len({fingerprint(signature, *call) for call in calls}) == len(calls)


def test_what_has_no_json_is_not_compared() -> None:
    itself: list[Any] = []
    itself.append(itself)

    assert print_of(object()) == print_of(itself) == print_of([float("nan")]) == print_of({(1, 2): 3}) == ""


def test_a_number_of_more_digits_than_python_reads_is_not_compared() -> None:
    assert print_of(10**5_000) == ""
