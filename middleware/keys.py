"""Idempotency keys: how an actor's arguments become one, and what the store calls it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from inspect import Parameter, Signature
from string import Formatter
from typing import Any

import dramatiq
from dramatiq.middleware import MiddlewareError

from middleware.suggestion import did_you_mean

Key = str | Callable[..., str]

MAX_KEY_CHARS = 1_024

_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_SCALARS = frozenset({str, int, float, bool, type(None)})
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


# A MiddlewareError, because Dramatiq swallows any other error of a hook, and would send the message without its key.
class InvalidKey(MiddlewareError, ValueError):
    """An idempotency key can't be made, or can't be one."""


class KeyMaker:
    """Makes the idempotency key of each call of an actor, or another key of its arguments.

    Args:
        spec: a format string over the arguments, such as ``"charge:{order_id}"``, or a function that takes what
            the actor takes and returns the key. Both see the actor's defaults for what a call leaves out. A format
            string without fields is one key for all calls.
        fn: the actor's function.
        actor_name: for errors.
        option: likewise.

    Raises:
        InvalidKey: *spec* does not fit the parameters of *fn*, or no call could give a key.
    """

    def __init__(
        self, spec: Key, fn: Callable[..., object], actor_name: str, *, option: str = "idempotency_key"
    ) -> None:
        self._source = f"actor {actor_name!r}: {option}"
        self._signature = inspect.signature(fn)
        self._spec = spec
        parameters = self._signature.parameters
        if isinstance(spec, str):
            self._source += f" {spec!r}"
            self._check_template(spec, parameters)
        elif callable(spec):
            self._source += f" function {getattr(spec, '__name__', repr(spec))!r}"
            self._check_function(spec, parameters.values())
        else:
            raise InvalidKey(f"{self._source}={spec!r} must be a format string or a function")

    def __call__(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """Return the key of a call with these arguments, which have the types that the actor expects.

        Raises:
            InvalidKey: they don't fit the actor, the function raised, or what came out can't be a key.
        """
        try:
            bound = self._signature.bind(*args, **kwargs)
            bound.apply_defaults()
            if isinstance(self._spec, str):
                key = self._spec.format_map(bound.arguments)
            else:
                key = self._spec(*bound.args, **bound.kwargs)
        except Exception as error:
            raise InvalidKey(f"{self._source} failed: {type(error).__name__}: {error}") from error
        return check_key(key, self._source)

    def _check_template(self, template: str, parameters: Mapping[str, Parameter]) -> None:
        try:
            rendered = _Trial().vformat(template, (), parameters)
        except _Unknown as unknown:
            (name,) = unknown.args
            hint = did_you_mean(name, parameters)
            raise InvalidKey(f"{self._source} names unknown argument {name!r}{hint}") from None
        except _Nameless:
            names = " or ".join(f"{{{name}}}" for name in parameters)
            hint = f"write {names}" if names else "the actor takes none"
            raise InvalidKey(f"{self._source} has a field that names no argument; {hint}") from None
        except Exception as error:
            raise InvalidKey(f"{self._source} is malformed: {error}; a brace itself is {{{{ or }}}}") from None
        check_key(rendered, self._source)

    def _check_function(self, function: Callable[..., object], parameters: Collection[Parameter]) -> None:
        if inspect.iscoroutinefunction(function):
            raise InvalidKey(f"{self._source} is async; a key is made where the message is sent, by a plain function")
        by_position = [each.name for each in parameters if each.kind in _BY_POSITION]
        by_name = [each.name for each in parameters if each.kind is Parameter.KEYWORD_ONLY]
        try:
            signature = inspect.signature(function)
        except ValueError:
            return  # some builtins don't tell theirs
        try:
            signature.bind(*by_position, **dict.fromkeys(by_name))
        except TypeError as error:
            raise InvalidKey(
                f"{self._source} does not take the actor's arguments: {error}; give it the same parameters"
            ) from None


def check_key(key: object, source: str) -> str:
    """Return *key*.

    Raises:
        InvalidKey: it is no text, is empty, or has more than ``MAX_KEY_CHARS``; *source* says whose it is.
    """
    if not isinstance(key, str):
        raise InvalidKey(f"{source}: the key is {key!r}, not a str")
    if not key:
        raise InvalidKey(f"{source}: the key is empty, so that unrelated calls would share it")
    if len(key) > MAX_KEY_CHARS:
        raise InvalidKey(
            f"{source}: the key has {len(key):,} characters, over the limit of {MAX_KEY_CHARS:,}; "
            "put a hash of the longest part in its place"
        )
    return key


def digest(scope: str, key: str) -> str:
    """Return the name of the record of *key* in *scope*: ``v1.`` and 32 hexadecimal digits.

    The version comes first, so that a later one that makes names in another way still finds the old records.
    """
    # With a length in front, no part of the scope can pass for a part of the key.
    text = f"{len(scope)}:{scope}{key}".encode("utf-8", "surrogatepass")
    return "v1." + blake2b(text, digest_size=16).hexdigest()


def fingerprint(signature: Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits that tell one call's arguments from another's; empty if they have no JSON.

    Arguments as Python has them, and the same as a message has them, agree; so do positional and keyword ones. A
    default is not an argument, so that a new parameter that has one changes nothing. What doesn't fit *signature*
    is compared as it came.
    """
    shape: Any
    try:
        shape = dict(signature.bind(*args, **kwargs).arguments)
        plain = _SCALARS.issuperset(map(type, shape.values()))
    except TypeError:
        shape, plain = [list(args), dict(kwargs)], False
    try:
        if not plain:
            encoder = dramatiq.get_encoder()
            shape = encoder.decode(encoder.encode({"kwargs": shape}))["kwargs"]
        text = _CANONICAL.encode(shape)
    except Exception:
        # Whatever an encoder raises: the send that follows says it better, and a worker must take what has come.
        return ""
    return blake2b(text.encode("ascii"), digest_size=8).hexdigest()


class _Unknown(Exception):
    """A template names an argument that the actor does not take."""


class _Nameless(Exception):
    """A template asks for an argument by its position."""


class _Trial(Formatter):
    """Formats a template as if each argument had every attribute, every item and every format."""

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if not isinstance(key, str) or not key:
            raise _Nameless
        if key not in kwargs:
            raise _Unknown(key)
        return _Anything()

    def format_field(self, value: Any, format_spec: str) -> str:
        return "x"


class _Anything:
    def __getattr__(self, name: str) -> _Anything:
        return self

    def __getitem__(self, key: object) -> _Anything:
        return self
