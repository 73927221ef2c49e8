from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NewType, Optional, Union
from uuid import UUID

import pydantic
import pytest
from pydantic import BaseModel, ConfigDict, Field, Json
from typing_extensions import TypedDict

from actors.arguments import Parameters
from actors.encoding import Encoder
from actors.errors import ActorsError, ArgumentsError, DeclarationError

if TYPE_CHECKING:
    from fractions import Fraction

ORDER = UUID("12345678-1234-5678-1234-567812345678")
NOON = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=8)))

OrderId = NewType("OrderId", UUID)
Cents = NewType("Cents", int)


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


class Span(NamedTuple):
    start: date
    end: date


class Address(TypedDict):
    since: date


@dataclass(frozen=True)
class Line:
    price: Decimal
    picture: bytes
    sizes: tuple[Size, ...] = ()


@dataclass
class Node:
    at: datetime
    children: list[Node]


class Invoice(BaseModel):
    at: datetime
    lines: dict[UUID, Line]
    note: bytes = b"text"


class Payment(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", extra="forbid")
    order: UUID = Field(validation_alias="orderId", serialization_alias="order_no")
    proof: bytes
    raw: Json[list[int]]

    @pydantic.computed_field
    def label(self) -> str:
        return str(self.order)


@pydantic.dataclasses.dataclass
class Refund:
    at: datetime
    note: bytes


class Session:
    """A class that pydantic doesn't know."""


def taking(hint: Any) -> Callable[..., Any]:
    def fn(value: Any) -> Any:
        return value

    fn.__annotations__ = {"value": hint}
    return fn


def received(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what *fn* returns, called with arguments that went through the queue."""
    encoder = Encoder()
    message = encoder.decode(encoder.encode({"actor_name": "f", "args": args, "kwargs": kwargs}))
    restored_args, restored_kwargs = Parameters(fn).restore(tuple(message["args"]), message["kwargs"])
    return fn(*restored_args, **restored_kwargs)


ROUND_TRIPS: list[tuple[Any, Any]] = [
    (datetime, NOON),
    (date, date(2026, 1, 1)),
    (time, time(9, 30, 0, 1)),
    (time, time(9, tzinfo=UTC)),
    (timedelta, timedelta.max),
    (timedelta, timedelta.min),
    (timedelta, timedelta(microseconds=-1)),
    (UUID, ORDER),
    (Decimal, Decimal("9.90")),
    (Decimal, Decimal("-1E-400")),
    (bytes, b"\xff\xfe\xfb\x00"),
    (Colour, Colour.RED),
    (Colour, Colour.BLUE),
    (Size, Size.SMALL),
    (Priority, Priority.HIGH),
    (Right, Right.READ | Right.WRITE),
    (OrderId, ORDER),
    (Span, Span(date(2026, 1, 1), date(2026, 1, 2))),
    (Address, {"since": date(2026, 1, 1)}),
    (Line, Line(Decimal("9.90"), b"\xff", (Size.SMALL,))),
    (Node, Node(NOON, [Node(NOON, [])])),
    (Invoice, Invoice(at=NOON, lines={ORDER: Line(Decimal(1), b"text")})),
    (Payment, Payment(orderId=ORDER, proof=b"\xff\xfe", raw="[1]")),
    (Refund, Refund(NOON, b"text")),
    (list[Line], [Line(Decimal(1), b"\xff")]),
    (list[Invoice | Line], [Line(Decimal(1), b""), Invoice(at=NOON, lines={})]),
    (tuple[int, UUID], (1, ORDER)),
    (tuple[int, ...], (1, 2)),
    (set[UUID], {ORDER}),
    (frozenset[str], frozenset({"a"})),
    (set, {1}),
    (deque[date], deque([date(2026, 1, 1)])),
    (dict[int, int], {1: 2}),
    (dict[UUID, list[Decimal]], {ORDER: [Decimal("0.10")]}),
    (dict[date, dict[Size, bytes]], {date(2026, 1, 1): {Size.SMALL: b"\xff"}}),
    (Sequence[UUID], [ORDER]),
    (Mapping[str, date], {"a": date(2026, 1, 1)}),
    (Optional[UUID], ORDER),  # noqa: UP045
    (Optional[UUID], None),  # noqa: UP045
    (Union[UUID, int], 5),  # noqa: UP007
    (UUID | Session, ORDER),
    (datetime | date, date(2026, 1, 1)),
    (date | datetime, NOON),
    (Annotated[UUID, "the order"], ORDER),
    (Annotated[int, Field(gt=0)], 5),
    (Literal[Size.SMALL, 3], Size.SMALL),
    (str | date, "2026-01-01"),
    (date | str, date(2026, 1, 1)),
    (str, "2026-01-01"),
]


@pytest.mark.parametrize(("hint", "value"), ROUND_TRIPS)
def test_a_value_comes_back_as_the_hint_says(hint: Any, value: Any) -> None:
    back = received(taking(hint), value)

    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(("hint", "value"), ROUND_TRIPS)
def test_a_value_that_has_the_hinted_type_already_stays_as_it_is(hint: Any, value: Any) -> None:
    args, kwargs = Parameters(taking(hint)).restore((value,), {})

    assert (args, kwargs) == ((value,), {})
    assert type(args[0]) is type(value)


def test_p21_rich_arguments_come_back_restored_by_the_actors_hints() -> None:
    async def charge(
        order: UUID, /, at: datetime, *lines: Line, colour: Colour, due: date | None = None, **sums: Decimal
    ) -> None: ...

    encoder, line = Encoder(), Line(Decimal("9.90"), b"\xff")
    message = encoder.decode(
        encoder.encode(
            {
                "args": (ORDER, NOON, line, line),
                "kwargs": {"colour": Colour.RED, "net": Decimal("1.0"), "order": Decimal(2)},
            }
        )
    )

    args, kwargs = Parameters(charge).restore(tuple(message["args"]), message["kwargs"])

    assert args == (ORDER, NOON, line, line)
    assert kwargs == {"colour": Colour.RED, "net": Decimal("1.0"), "order": Decimal(2)}


@pytest.mark.parametrize(
    "hint",
    [
        None, int, str, float, bool, Any, object, list, dict, Sequence, Cents, list[int], dict[str, list[bool]],
        dict[str, Any], int | str | None, Optional[dict[str, float]], Sequence[str], Collection[int], Iterable[str],  # noqa: UP045
        Mapping[str, int], Literal["a", 1, True, None],
    ],
)  # fmt: skip
def test_a_plain_hint_needs_no_restoring(hint: Any) -> None:
    parameters, args, kwargs = Parameters(taking(hint)), ("not even checked",), {"x": 1}

    assert not parameters.needs_restore
    assert parameters.restore(args, kwargs) == (args, kwargs)


def test_plain_and_unhinted_parameters_pass_as_json_gave_them_beside_a_rich_one() -> None:
    def fn(order: UUID, rate: float, ids: list[int], anything, *rest, **more):  # type: ignore[no-untyped-def]
        return order, rate, ids, anything, rest, more

    assert received(fn, ORDER, 1, ["1"], NOON, 5, x=6) == (ORDER, 1, ["1"], NOON.isoformat(), (5,), {"x": 6})


def test_a_default_is_not_restored() -> None:
    def fn(order: UUID = "none") -> Any:  # type: ignore[assignment]
        return order

    assert received(fn) == "none"


def test_numbers_of_other_producers_become_decimals() -> None:
    assert received(taking(Decimal), 9.99) == Decimal("9.99")


def test_a_model_takes_the_aliases_that_other_producers_send() -> None:
    sent = {"orderId": str(ORDER), "proof": "_w==", "raw": "[1]"}

    assert received(taking(Payment), sent) == Payment(orderId=ORDER, proof=b"\xff", raw="[1]")


def later(node: Leaf) -> Leaf:
    return node


@dataclass
class Leaf:
    at: date


def test_a_hint_may_name_what_the_module_defines_further_down() -> None:
    assert received(later, Leaf(date(2026, 1, 1))) == Leaf(date(2026, 1, 1))


def returning(order: UUID) -> Fraction:
    raise NotImplementedError


def test_the_hint_of_the_result_may_be_for_the_type_checker_alone() -> None:
    assert Parameters(returning).needs_restore


class Handler:
    def __call__(self, at: date) -> date:
        return at

    def method(self, at: date) -> date:
        return at


@functools.cache
def cached(at: date) -> date:
    return at


@pytest.mark.parametrize("fn", [Handler(), Handler().method, cached], ids=["instance", "method", "cached"])
def test_hints_are_found_on_any_callable(fn: Callable[..., Any]) -> None:
    parameters = Parameters(fn, "handle")

    assert parameters.restore(("2026-01-01",), {}) == ((date(2026, 1, 1),), {})


def refund(
    order: UUID, cents: int, /, lines: list[Line], *dates: date, colour: Colour = Colour.RED, **sums: Decimal
) -> None: ...


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        (("x", 1, []), {}, "order: Input should be a valid UUID, invalid character: found `x` at 0"),
        (
            (ORDER, 1, [{"price": "1", "picture": ""}, {"price": "x", "picture": ""}]),
            {},
            "lines[1].price: Input should be a valid decimal",
        ),
        ((ORDER, 1, [{"price": "1", "picture": "#"}]), {}, "lines[0].picture: Data should be valid base64"),
        ((ORDER, 1), {"lines": [{"price": "1"}]}, "lines[0].picture: Field required"),
        ((ORDER, 1, [], "2026-01-01", "soon"), {}, "dates[1]: Input should be a valid date or datetime"),
        ((ORDER, 1, []), {"colour": "green"}, "colour: Input should be 'red' or 2"),
        ((ORDER, 1, []), {"net": "much"}, "sums.net: Input should be a valid decimal"),
        ((ORDER, 1, []), {"net": float("nan")}, "sums.net: nan is not a number that JSON has"),
        ((ORDER, 1), {}, "missing a required argument: 'lines'"),
    ],
)
def test_an_argument_that_does_not_fit_its_hint_is_refused_with_its_path(
    args: tuple[Any, ...], kwargs: dict[str, Any], text: str
) -> None:
    with pytest.raises(ArgumentsError) as error:
        Parameters(refund).restore(args, kwargs)

    assert str(error.value).startswith(f"actor 'refund': {text}")


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, "missing a required argument: 'order_id'"),
        ((42,), {}, "missing a required argument: 'cents'"),
        ((42, 999, 1), {}, "too many positional arguments"),
        ((42, 999), {"cent": 1}, "got an unexpected keyword argument 'cent'"),
        ((42, 999), {"cents": 1}, "multiple values for argument 'cents'"),
    ],
)
def test_arguments_that_do_not_bind_are_refused(args: tuple[Any, ...], kwargs: dict[str, Any], text: str) -> None:
    def fn(order_id: int, cents: int, *, note: str = "") -> None: ...

    with pytest.raises(ArgumentsError) as error:
        Parameters(fn, "charge").check(args, kwargs)

    assert str(error.value) == f"actor 'charge': {text}"
    assert isinstance(error.value, ActorsError)
    assert isinstance(error.value, TypeError)


@pytest.mark.parametrize(
    ("args", "kwargs"), [((42, 999), {}), ((42,), {"cents": 999}), ((), {"order_id": 1, "cents": 2})]
)
def test_arguments_that_bind_pass_the_check(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    async def charge(order_id: int, cents: int, note: str = "") -> None: ...

    Parameters(charge).check(args, kwargs)


def hidden(share: Fraction) -> None: ...


def test_a_hint_for_the_type_checker_alone_is_refused_when_hints_are_read() -> None:
    parameters = Parameters(hidden)

    with pytest.raises(DeclarationError) as error:
        _ = parameters.needs_restore

    assert str(error.value) == (
        "actor 'hidden': parameter 'share': its hint can't be read: name 'Fraction' is not defined; "
        "what it names must be imported at run time too, not under TYPE_CHECKING alone"
    )


class Unfinished(BaseModel):
    share: Fraction


@pytest.mark.parametrize("hint", [Unfinished, list[Unfinished], 5, "5"])
def test_a_hint_that_pydantic_can_not_build_is_refused_when_hints_are_read(hint: Any) -> None:
    with pytest.raises(DeclarationError, match=r"^actor 'fn': parameter 'value': "):
        _ = Parameters(taking(hint)).needs_restore


@pytest.mark.parametrize("hint", [Iterable[UUID], Iterator[UUID], list[Iterable[UUID]] | None])
def test_a_hint_that_would_be_read_only_once_is_refused(hint: Any) -> None:
    with pytest.raises(DeclarationError, match=r"can be read once; hint a list, a Sequence or a Collection$"):
        _ = Parameters(taking(hint)).needs_restore


def test_a_literal_that_would_not_be_found_by_its_value_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"hint the Enum, or make it a StrEnum or an IntEnum$"):
        _ = Parameters(taking(Literal[Colour.RED] | None)).needs_restore


def giving(hint: Any) -> Callable[..., Any]:
    def fn() -> Any: ...

    fn.__annotations__ = {"return": hint}
    return fn


@pytest.mark.parametrize(("hint", "value"), ROUND_TRIPS)
def test_a_result_comes_back_as_the_return_hint_says(hint: Any, value: Any) -> None:
    encoder = Encoder()
    kept = encoder.decode(encoder.encode({"value": value}))["value"]

    back = Parameters(giving(hint)).restore_result(kept)

    assert back == value
    assert type(back) is type(value)


async def find_invoices() -> list[UUID]:
    return []


def total():  # type: ignore[no-untyped-def]
    ...


def test_an_async_functions_hint_is_of_what_is_awaited() -> None:
    assert Parameters(find_invoices).restore_result([str(ORDER)]) == [ORDER]


@pytest.mark.parametrize("fn", [total, giving(None), giving(Any), giving(dict[str, int])])
@pytest.mark.parametrize("value", [None, "2026-01-01", {"a": 1}])
def test_a_result_without_a_hint_or_with_a_plain_one_is_as_json_has_it(fn: Callable[..., Any], value: Any) -> None:
    assert Parameters(fn).restore_result(value) is value


class Strict(BaseModel):
    at: date

    @pydantic.field_validator("at")
    @classmethod
    def _look_up(cls, at: date) -> date:
        raise KeyError(at)


@pytest.mark.parametrize(
    ("hint", "value", "text"),
    [
        (Decimal, "much", "return: Input should be a valid decimal"),
        (UUID, None, "return: UUID input should be a string, bytes or UUID object"),
        (list[date], ["2026-01-01", "x"], "return[1]: Input should be a valid date or datetime, input is too short"),
        (Session, {"a": 1}, "return: Cannot check `isinstance` when validating from json"),
    ],
)
def test_a_result_that_does_not_fit_its_hint_stays_as_json_has_it(
    hint: Any, value: Any, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert Parameters(giving(hint), "total").restore_result(value) is value
    assert caplog.messages[0].startswith(f"a result of actor 'total' stays as JSON has it: actor 'total': {text}")


def test_a_result_that_its_models_validator_breaks_on_stays_as_json_has_it(caplog: pytest.LogCaptureFixture) -> None:
    value = {"at": "2026-01-01"}

    assert Parameters(giving(Strict), "total").restore_result(value) is value
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("fn", "text"),
    [
        (returning, "its hint can't be read: name 'Fraction' is not defined"),
        (giving(Iterator[date]), "would come as an iterator that can be read once"),
    ],
)
def test_a_return_hint_that_can_not_be_used_is_logged_once_and_loses_no_result(
    fn: Callable[..., Any], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    parameters = Parameters(fn)

    assert [parameters.restore_result("1/3"), parameters.restore_result(["2026-01-01"])] == ["1/3", ["2026-01-01"]]
    assert len(caplog.messages) == 1
    assert text in caplog.text
