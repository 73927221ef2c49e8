"""How each type that JSON lacks looks in JSON.

The wire says nothing of types: a UUID is a string there, and :mod:`actors.arguments` makes a UUID of it
again because the actor's hint says so. Every form is therefore one that pydantic reads back exactly.
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Secret, SecretBytes, SecretStr, TypeAdapter

Steps = tuple[object, ...]


class Refused(Exception):
    """A value can't travel as JSON.

    Attributes:
        reason: what is wrong, and what to pass instead.
        path: the names, keys and indexes that lead to it from the value that was given.
    """

    def __init__(self, reason: str, path: Steps = ()) -> None:
        super().__init__(f"{path_text(path)}: {reason}" if path else reason)
        self.reason = reason
        self.path = path

    def under(self, path: Steps) -> Refused:
        """Return the same refusal, seen from where *path* starts."""
        return Refused(self.reason, path + self.path)


def path_text(path: Steps) -> str:
    """Return *path* as Python writes it, such as ``kwargs.items[3].price``."""
    steps = (f".{step}" if isinstance(step, str) and step.isidentifier() else f"[{step!r}]" for step in path)
    return "".join(steps).removeprefix(".")


def json_form(value: object) -> object:
    """Return *value* one step closer to JSON; its parts may need steps of their own.

    Raises:
        Refused: it has no form in JSON, or one from which it would not come back.
    """
    # First, because an Enum may also inherit from a type of the table, and travels by its value all the same.
    if isinstance(value, Enum):
        return _enum(value)
    for base in type(value).__mro__:
        if form := _FORMS.get(base):
            return form(value)
    if hasattr(type(value), "__pydantic_config__"):
        return _dumped(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value) if field.init}
    raise Refused(
        f"a value of type {type(value).__qualname__} can't travel as JSON; pass an id, or a str, number, bool, None, "
        "list, dict, datetime, date, time, timedelta, UUID, Decimal, Enum, bytes, dataclass or pydantic model"
    )


def _datetime(value: datetime) -> str:
    offset = value.utcoffset()
    if offset is None:
        raise Refused(
            f"{value.isoformat()} is a naive datetime, so it names no instant; "
            "pass an aware one, such as datetime.now(UTC) or value.replace(tzinfo=ZoneInfo('Asia/Shanghai'))"
        )
    # Offsets from before standard time have seconds, which ISO 8601 and pydantic don't know.
    return (value.astimezone(UTC) if offset % timedelta(minutes=1) else value).isoformat()


def _time(value: time) -> str:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise Refused(
            f"{value.isoformat()} has a zone whose offset depends on the date; pass a datetime, or a time without zone"
        )
    return value.isoformat()


def _timedelta(value: timedelta) -> str:
    # An ISO 8601 duration, because a float of seconds loses microseconds beyond 285 years.
    sign, span = ("-", -value) if value < timedelta() else ("", value)
    return f"{sign}P{span.days}DT{span.seconds}.{span.microseconds:06}S"


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise Refused(f"Decimal('{value}') is not a number that JSON has; pass None instead")
    return str(value)


def _enum(value: Enum) -> object:
    if value.value is not None and not isinstance(value.value, str | int | float):
        raise Refused(
            f"{value} has a value of type {type(value.value).__qualname__}, from which JSON does not bring it back; "
            f"pass its name, or give {type(value).__qualname__} values that are str or int"
        )
    return value.value


def _set(value: Iterable[object]) -> list[object]:
    # The same set must always be the same bytes: a message's fingerprint is taken over them.
    return sorted(value, key=repr)


def _dumped(value: object) -> object:
    """Return a model or a pydantic dataclass as pydantic dumps it, by its own configuration and serializers."""
    dump = TypeAdapter(type(value)).dump_python
    try:
        _refuse_lossy(dump(value, by_alias=False, round_trip=True, warnings=False), ())
        return dump(value, mode="json", by_alias=False, round_trip=True)
    except UnicodeDecodeError:
        name = type(value).__qualname__
        raise Refused(
            f"{name} holds bytes that are not UTF-8 text; "
            f"give {name} ConfigDict(ser_json_bytes='base64', val_json_bytes='base64')"
        ) from None
    except ValueError as error:
        raise Refused(f"pydantic can't dump this {type(value).__qualname__}: {error}") from error


def _refuse_lossy(value: object, path: Steps) -> None:
    """Refuse what pydantic dumps without complaint, and what would come back as something else."""
    if isinstance(value, datetime | time):
        try:
            json_form(value)
        except Refused as refused:
            raise refused.under(path) from None
    elif isinstance(value, Secret | SecretStr | SecretBytes):
        raise Refused("a secret is dumped as asterisks, and does not belong in a queue; pass its name", path)
    elif isinstance(value, dict):
        for key, part in value.items():
            _refuse_lossy(part, (*path, key))
    elif isinstance(value, list | tuple | set | frozenset | deque):
        for index, part in enumerate(value):
            _refuse_lossy(part, (*path, index))


_FORMS: dict[type, Callable[[Any], object]] = {
    datetime: _datetime,
    date: date.isoformat,
    time: _time,
    timedelta: _timedelta,
    UUID: str,
    Decimal: _decimal,
    bytes: lambda value: b64encode(value).decode("ascii"),
    set: _set,
    frozenset: _set,
    deque: list,
    BaseModel: _dumped,
}
