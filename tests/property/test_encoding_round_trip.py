"""Whatever an actor's hint can say, a value that fits it comes back from the queue as it went in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import fields, is_dataclass, make_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import GenericAlias
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, create_model

from actors.arguments import Parameters
from actors.encoding import Encoder

Case = tuple[Any, Any]  # a hint, and a value that fits it


class Weekday(Enum):
    MONDAY = 1
    TUESDAY = 2


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Priority(IntEnum):
    LOW = 1
    HIGH = 2


ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))

KEYS: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(),
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bytes: st.binary(),
    datetime: st.datetimes(timezones=ZONES),
    date: st.dates(),
    time: st.times(),
    timedelta: st.timedeltas(),
    UUID: st.uuids(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    Colour: st.sampled_from(Colour),
    Priority: st.sampled_from(Priority),
}
SCALARS = {**KEYS, bool: st.booleans(), None: st.none(), Weekday: st.sampled_from(Weekday)}


def of(values: dict[Any, st.SearchStrategy[Any]]) -> st.SearchStrategy[Case]:
    return st.one_of([st.tuples(st.just(hint), strategy) for hint, strategy in values.items()])


def inside(case: Case) -> st.SearchStrategy[Case]:
    """Return *case* put into each kind of container."""
    hint, value = case
    model: Any = create_model(
        "Model", __config__=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64"), part=(hint, ...)
    )
    data = make_dataclass("Data", [("part", hint)], frozen=True)
    return st.sampled_from(
        [
            (GenericAlias(list, (hint,)), [value, value]),
            (GenericAlias(deque, (hint,)), deque([value])),
            (GenericAlias(tuple, (hint, ...)), (value, value)),
            (GenericAlias(tuple, (int, hint)), (1, value)),
            (GenericAlias(dict, (str, hint)), {"a key": value}),
            (hint | None if hint is not None else hint, value),
            (data, data(value)),
            (model, model(part=value)),
        ]
    )


def keyed(case: Case) -> Case:
    hint, value = case
    return GenericAlias(dict, (hint, int)), {value: 1}


def gathered(case: Case) -> st.SearchStrategy[Case]:
    hint, value = case
    return st.sampled_from(
        [(GenericAlias(set, (hint,)), {value}), (GenericAlias(frozenset, (hint,)), frozenset([value]))]
    )


CASES = st.recursive(
    of(SCALARS) | of(KEYS).map(keyed) | of(KEYS).flatmap(gathered),
    lambda cases: cases.flatmap(inside),
    max_leaves=4,
)


def taking(hint: Any) -> Callable[[Any], Any]:
    def fn(value: Any) -> Any:
        return value

    fn.__annotations__ = {"value": hint}
    return fn


def types_in(value: Any) -> Any:
    """Return the types of *value* and of all its parts."""
    if isinstance(value, BaseModel):
        return type(value), [types_in(part) for _, part in value]
    if is_dataclass(value):
        return type(value), [types_in(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, dict):
        return dict, [(types_in(key), types_in(part)) for key, part in value.items()]
    if isinstance(value, list | tuple | set | frozenset | deque):
        return type(value), [types_in(part) for part in value]
    return type(value)


@settings(max_examples=300)
@given(CASES)
def test_a_value_comes_back_as_its_hint_says(case: Case) -> None:
    hint, value = case
    encoder, fn = Encoder(), taking(hint)

    sent = encoder.encode({"actor_name": "f", "args": (value,), "kwargs": {}, "options": {}})
    args, kwargs = Parameters(fn).restore(tuple(encoder.decode(sent)["args"]), {})
    back = fn(*args, **kwargs)

    assert back == value
    assert types_in(back) == types_in(value)


@settings(max_examples=100)
@given(CASES)
def test_restoring_a_restored_value_changes_nothing(case: Case) -> None:
    hint, value = case

    args, _ = Parameters(taking(hint)).restore((value,), {})

    assert args == (value,)
    assert types_in(args) == types_in((value,))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts),
    max_leaves=20,
)


@given(PLAIN)
def test_a_plain_value_needs_no_hint(value: Any) -> None:
    encoder = Encoder()

    assert encoder.decode(encoder.encode({"kwargs": {"value": value}})) == {"kwargs": {"value": value}}
