from __future__ import annotations

import json
import pickle
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import dramatiq
import pydantic
import pytest
from dramatiq.errors import DecodeError
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from actors.encoding import Encoder, check_size
from actors.errors import ActorsError, MessageTooLarge, NotEncodable

NAIVE = datetime(2026, 1, 1, 9)
ORDER = UUID("12345678-1234-5678-1234-567812345678")

TYPES = (
    "pass an id, or a str, number, bool, None, list, dict, datetime, date, time, timedelta, UUID, Decimal, Enum, "
    "bytes, dataclass or pydantic model"
)
IS_NAIVE = (
    "2026-01-01T09:00:00 is a naive datetime, so it names no instant; "
    "pass an aware one, such as datetime.now(UTC) or value.replace(tzinfo=ZoneInfo('Asia/Shanghai'))"
)
TOO_DEEP = "is nested more than 100 levels deep, or contains itself; pass an id"


class Colour(Enum):
    RED = "red"
    BLUE = 2


class Size(StrEnum):
    SMALL = "s"


class Priority(IntEnum):
    HIGH = 9


class Right(Flag):
    READ = 1
    WRITE = 2


class Place(Enum):
    HOME = (1, 2)


class Day(date, Enum):
    NEW_YEAR = 2026, 1, 1


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Line:
    price: object
    total: int = field(init=False, default=0)


@pydantic.dataclasses.dataclass
class Refund:
    at: datetime
    note: bytes = b""


class Invoice(BaseModel):
    at: object = None
    lines: list[Any] = []
    amount: float = 0
    note: bytes = b""


class Payment(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64")
    order: UUID = Field(alias="orderId")
    proof: bytes


def message(**fields: Any) -> dict[str, Any]:
    return {"actor_name": "charge", "args": (), "kwargs": {}, "options": {}, **fields}


def on_the_wire(value: object) -> Any:
    return json.loads(Encoder().encode(message(kwargs={"value": value})))["kwargs"]["value"]


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (datetime(2026, 1, 1, 9, tzinfo=UTC), "2026-01-01T09:00:00+00:00"),
        (datetime(2026, 1, 1, 9, 0, 0, 1, ZoneInfo("Asia/Shanghai")), "2026-01-01T09:00:00.000001+08:00"),
        (datetime(1900, 1, 1, tzinfo=ZoneInfo("Asia/Shanghai")), "1899-12-31T15:54:17+00:00"),
        (date(2026, 1, 1), "2026-01-01"),
        (time(9, 30), "09:30:00"),
        (time(9, 30, tzinfo=timezone(timedelta(hours=8))), "09:30:00+08:00"),
        (timedelta(days=1, microseconds=1), "P1DT0.000001S"),
        (timedelta(microseconds=-1), "-P0DT0.000001S"),
        (timedelta.min, "-P999999999DT0.000000S"),
        (ORDER, "12345678-1234-5678-1234-567812345678"),
        (Decimal("9.90"), "9.90"),
        (Decimal("1E+28"), "1E+28"),
        (b"\xff\xfe\xfb", "//77"),
        (Colour.RED, "red"),
        (Colour.BLUE, 2),
        (Size.SMALL, "s"),
        (Priority.HIGH, 9),
        (Right.READ | Right.WRITE, 3),
        (True, True),
        (2**200, 2**200),
        ("日本 🦀", "日本 🦀"),
        (Point(1, 2), [1, 2]),
        ((1, (2,)), [1, [2]]),
        (deque([ORDER]), [str(ORDER)]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        ({1: 1, Size.SMALL: 2}, {"1": 1, "s": 2}),
        ({ORDER: [date(2026, 1, 1)], Colour.RED: 1}, {str(ORDER): ["2026-01-01"], "red": 1}),
        (Line(price=Decimal(1)), {"price": "1"}),
        ([Line(price=[Line(price=b"x")])], [{"price": [{"price": "eA=="}]}]),
        (Invoice(at=date(2026, 1, 1)), {"at": "2026-01-01", "lines": [], "amount": 0, "note": ""}),
        (Payment(orderId=ORDER, proof=b"\xff"), {"order": str(ORDER), "proof": "_w=="}),
        (Refund(at=datetime(2026, 1, 1, tzinfo=UTC)), {"at": "2026-01-01T00:00:00Z", "note": ""}),
    ],
)
def test_a_rich_value_travels_as_plain_json(value: object, wire: object) -> None:
    assert on_the_wire(value) == wire


def test_plain_dramatiq_decodes_what_is_encoded_here() -> None:
    sent = dramatiq.Message("default", "charge", ("日本", 1), {"at": date(2026, 1, 1)}, {"tick": {"n": None}}).asdict()

    assert dramatiq.JSONEncoder().decode(Encoder().encode(sent)) == {
        **sent,
        "args": ["日本", 1],
        "kwargs": {"at": "2026-01-01"},
    }


def test_plain_dramatiqs_messages_decode_equal() -> None:
    args = ("日本 \ud800", 1.5, float("inf"), None, {"a": [True]})
    body = dramatiq.JSONEncoder().encode(dramatiq.Message("default", "charge", args, {"n": 2**70}, {}).asdict())

    assert Encoder().decode(body) == dramatiq.JSONEncoder().decode(body)


def test_a_plain_message_is_never_larger_than_plain_dramatiqs() -> None:
    sent = message(args=("café", 42), kwargs={"cents": 999})

    assert len(Encoder().encode(sent)) < len(dramatiq.JSONEncoder().encode(sent))


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff", pickle.dumps({"args": ()}), b"[" * 100_000, b'{"args": ' + b"1" * 5000 + b"}"],
    ids=["empty", "cut", "array", "not UTF-8", "pickle", "too deep", "too many digits"],
)
def test_a_body_that_is_not_a_json_object_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(DecodeError) as error:
        Encoder().decode(body)

    assert error.value.data == body


def itself() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


def deep(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        (
            {"items": [0, 1, 2, Line(price=1j)]},
            f"items[3].price: a value of type complex can't travel as JSON; {TYPES}",
        ),
        ({"fn": print}, f"fn: a value of type builtin_function_or_method can't travel as JSON; {TYPES}"),
        ({"kind": Line}, f"kind: a value of type type can't travel as JSON; {TYPES}"),
        ({"a key": {1: [object()]}}, f"['a key'][1][0]: a value of type object can't travel as JSON; {TYPES}"),
        ({"sold": {(1, 2): 3}}, f"sold: key (1, 2): a value of type tuple can't travel as JSON; {TYPES}"),
        ({"sold": {Colour.BLUE: 3}}, "sold: key <Colour.BLUE: 2> is not a string in JSON; pass a list of pairs"),
        (
            {"rates": {ORDER: [float("nan")]}},
            f"rates[{ORDER!r}][0]: nan is not a number that JSON has; pass None instead",
        ),
        ({"rates": {float("inf"): 1}}, "rates: inf is not a number that JSON has; pass None instead"),
        ({"sum": -float("inf")}, "sum: -inf is not a number that JSON has; pass None instead"),
        ({"sum": Decimal("NaN")}, "sum: Decimal('NaN') is not a number that JSON has; pass None instead"),
        ({"sum": 10**5000}, "sum: the int has too many digits to be read back; pass bytes"),
        (
            {"name": ["ok\ud800"]},
            "name[0]: the text holds half of a surrogate pair at index 2, so it is not Unicode; pass bytes",
        ),
        (
            {"home": Place.HOME},
            "home: Place.HOME has a value of type tuple, from which JSON does not bring it back; "
            "pass its name, or give Place values that are str or int",
        ),
        (
            {"day": Day.NEW_YEAR},
            "day: Day.NEW_YEAR has a value of type date, from which JSON does not bring it back; "
            "pass its name, or give Day values that are str or int",
        ),
        (
            {"at": time(9, tzinfo=ZoneInfo("Asia/Shanghai"))},
            "at: 09:00:00 has a zone whose offset depends on the date; pass a datetime, or a time without zone",
        ),
        ({"tree": itself()}, f"tree: {TOO_DEEP}"),
        ({"tree": deep(100_000)}, f"tree: {TOO_DEEP}"),
        (
            {"invoice": Invoice(note=b"\xff")},
            "invoice: Invoice holds bytes that are not UTF-8 text; "
            "give Invoice ConfigDict(ser_json_bytes='base64', val_json_bytes='base64')",
        ),
        (
            {"invoice": Invoice(at=print)},
            "invoice: pydantic can't dump this Invoice: "
            "Unable to serialize unknown type: <class 'builtin_function_or_method'>",
        ),
        (
            {"invoice": Invoice(amount=float("nan"))},
            "invoice.amount: nan is not a number that JSON has; pass None instead",
        ),
        (
            {"invoice": Invoice(at=[SecretStr("x")])},
            "invoice.at[0]: a secret is dumped as asterisks, and does not belong in a queue; pass its name",
        ),
    ],
)
def test_a_value_that_can_not_travel_is_refused_with_its_path(kwargs: dict[str, Any], text: str) -> None:
    with pytest.raises(NotEncodable) as error:
        Encoder().encode(message(kwargs=kwargs))

    assert str(error.value) == f"actor 'charge': {'kwargs' if text.startswith('[') else 'kwargs.'}{text}"
    assert isinstance(error.value, ActorsError)
    assert isinstance(error.value, TypeError)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"args": (1, NAIVE)}, "args[1]"),
        ({"kwargs": {"at": NAIVE}}, "kwargs.at"),
        ({"options": {"not_before": NAIVE}}, "options.not_before"),
        ({"kwargs": {"lines": [Line(price={"set_at": NAIVE})]}}, "kwargs.lines[0].price.set_at"),
        ({"kwargs": {"invoice": Invoice(at=NAIVE)}}, "kwargs.invoice.at"),
        ({"kwargs": {"invoice": Invoice(lines=[Line(price=[NAIVE])])}}, "kwargs.invoice.lines[0].price[0]"),
        ({"kwargs": {"line": Line(price=Refund(at=NAIVE))}}, "kwargs.line.price.at"),
        ({"kwargs": {"days": {NAIVE}}}, "kwargs.days[0]"),
        ({"kwargs": {"days": {NAIVE: 1}}}, f"kwargs.days: key {NAIVE!r}"),
    ],
)
def test_p13_a_naive_datetime_is_refused_wherever_it_hides(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(NotEncodable) as error:
        Encoder().encode(message(**fields))

    assert str(error.value) == f"actor 'charge': {path}: {IS_NAIVE}"


def test_what_is_not_a_message_is_refused_without_naming_an_actor() -> None:
    """A result backend encodes results with the same encoder."""
    with pytest.raises(NotEncodable, match=r"^result: a value of type complex can't travel"):
        Encoder().encode({"result": 1j})


def test_an_error_in_the_applications_own_code_is_not_hidden() -> None:
    class Broken(Enum):
        @property
        def value(self) -> Callable[[], None]:
            raise KeyError("mine")

        ONE = 1

    with pytest.raises(KeyError, match="mine"):
        Encoder().encode(message(args=(Broken.ONE,)))


@pytest.mark.parametrize("size", [0, 131_072])
def test_a_message_up_to_the_limit_passes(size: int) -> None:
    check_size(b"x" * size, 131_072, "charge")


def test_p21_a_message_over_the_limit_is_refused_with_the_advice_to_pass_an_id() -> None:
    body = Encoder().encode(message(kwargs={"csv": "x" * 214_003}))

    with pytest.raises(MessageTooLarge) as error:
        check_size(body, 131_072, "import_csv")

    assert str(error.value) == (
        f"actor 'import_csv': the message is {len(body):,} bytes, over the limit of 131,072 "
        "(ACTORS_MAX_MESSAGE_BYTES); store the data and pass its id"
    )
