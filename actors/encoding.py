"""Messages as plain JSON, which plain Dramatiq reads too."""

from __future__ import annotations

import json
import math
from typing import Any

import dramatiq
from dramatiq.encoder import MessageData
from dramatiq.errors import DecodeError

from actors.errors import MessageTooLarge, NotEncodable
from actors.json_forms import Refused, Steps, json_form

_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=json_form)
_DEEPEST = 100


class Encoder(dramatiq.Encoder):
    """Encodes a message as JSON, with the types of :mod:`actors.json_forms` anywhere in it."""

    def encode(self, data: MessageData) -> bytes:
        """Return the message as UTF-8 JSON.

        Raises:
            NotEncodable: a value can't travel; the text says which, why, and what to pass instead.
        """
        try:
            return dumps(data)
        except Refused as refused:
            actor_name = data.get("actor_name")
            raise NotEncodable(f"actor {actor_name!r}: {refused}" if actor_name else str(refused)) from None

    def decode(self, data: bytes) -> MessageData:
        """Return the message with its values as JSON has them; the actor's hints restore the rest later.

        Raises:
            DecodeError: *data* is not a JSON object.
        """
        try:
            message: Any = json.loads(data.decode("utf-8"))
            if not isinstance(message, dict):
                raise TypeError("it is not a JSON object")
        except (TypeError, ValueError, RecursionError) as error:
            raise DecodeError(f"failed to decode message {data[:200]!r}: {error}", data, error) from error
        return message


def check_size(body: bytes, limit: int, actor_name: str) -> None:
    """Do nothing, if *body* has at most *limit* bytes.

    Raises:
        MessageTooLarge: it has more.
    """
    if len(body) > limit:
        raise MessageTooLarge(
            f"actor {actor_name!r}: the message is {len(body):,} bytes, over the limit of {limit:,} "
            "(ACTORS_MAX_MESSAGE_BYTES); store the data and pass its id"
        )


def dumps(value: object) -> bytes:
    """Return *value* as compact UTF-8 JSON; mapping keys become strings, every other collection an array.

    Raises:
        Refused: with the path to the first value that can't travel.
    """
    try:
        return _JSON.encode(value).encode("utf-8")
    except (Refused, TypeError, ValueError, RecursionError):
        # The C encoder doesn't tell where it stopped, and it takes no keys but those of plain JSON.
        pass
    try:
        return _JSON.encode(_plain(value, ())).encode("utf-8")
    except RecursionError:
        raise Refused("a value is nested too deep, or contains itself; pass an id") from None


def _plain(value: object, path: Steps) -> object:
    """Return *value* in nothing but JSON's own types."""
    if len(path) > _DEEPEST:
        raise Refused(f"is nested more than {_DEEPEST} levels deep, or contains itself; pass an id", path[:2])
    if isinstance(value, dict):
        return {_key(key, path): _plain(part, (*path, key)) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, (*path, index)) for index, part in enumerate(value)]
    if value is None or isinstance(value, str | int | float):
        _check_scalar(value, path)
        return value
    try:
        form = json_form(value)
    except Refused as refused:
        raise refused.under(path) from None
    return _plain(form, path)


def _key(key: object, path: Steps) -> str | int | float | None:
    if key is None or isinstance(key, str | int | float):
        _check_scalar(key, path)
        return key
    try:
        form = json_form(key)
    except Refused as refused:
        raise Refused(f"key {key!r}: {refused.reason}", path) from None
    if not isinstance(form, str):
        raise Refused(f"key {key!r} is not a string in JSON; pass a list of pairs", path)
    _check_scalar(form, path)
    return form


def _check_scalar(value: str | int | float | None, path: Steps) -> None:
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise Refused(
                f"the text holds half of a surrogate pair at index {error.start}, so it is not Unicode; pass bytes",
                path,
            ) from None
    elif isinstance(value, float) and not math.isfinite(value):
        raise Refused(f"{value} is not a number that JSON has; pass None instead", path)
    elif isinstance(value, int):
        try:
            int.__repr__(value)
        except ValueError:
            raise Refused("the int has too many digits to be read back; pass bytes", path) from None
