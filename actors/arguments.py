"""What an actor's function takes and returns: checked at send, and restored by its hints at the other end."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, MutableMapping, Sequence
from enum import Enum
from functools import cached_property
from inspect import BoundArguments, Parameter
from types import GenericAlias, NoneType, SimpleNamespace, UnionType
from typing import Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from actors.encoding import dumps
from actors.errors import ArgumentsError, DeclarationError
from actors.json_forms import Refused, path_text

log = logging.getLogger(__name__)

_ARRAYS = {list, Sequence, Collection, Iterable}
_OBJECTS = {dict, Mapping, MutableMapping}
_PLAIN = {None, NoneType, str, int, float, bool, Any, object, Parameter.empty, *_ARRAYS, *_OBJECTS}

# A class that pydantic doesn't know is no reason to refuse ``UUID | Session``: no such object can be in a message.
_CONFIG = ConfigDict(val_json_bytes="base64", arbitrary_types_allowed=True)


class Parameters:
    """The parameters of an actor's function.

    Hints are read at first use, not at declaration, so that they may name what the module defines further
    down; read :attr:`needs_restore` at start to meet a mistake in them there. A parameter whose hint is plain
    (what JSON has: ``int``, ``str``, ``float``, ``bool``, ``None``, ``Any``, none at all, and lists, dicts with
    string keys and unions of those) is neither checked nor converted.
    """

    def __init__(self, fn: Callable[..., object], actor_name: str | None = None) -> None:
        self._fn = fn
        self._actor = f"actor {actor_name or fn.__name__!r}"
        self._signature = inspect.signature(fn)

    def check(self, args: Sequence[object], kwargs: Mapping[str, object]) -> None:
        """Do nothing, if the function can be called with these arguments.

        Raises:
            ArgumentsError: it can't; one is missing, unknown, or too many.
        """
        self._bind(args, kwargs)

    @property
    def needs_restore(self) -> bool:
        """False when every hint is plain, so that :meth:`restore` changes nothing.

        Raises:
            DeclarationError: a hint names something that does not exist, or that can't be restored.
        """
        return bool(self._adapters)

    def restore(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return arguments for the same call, with the types of their hints.

        What has these types already stays as it is, so restoring twice is restoring once. Of a union's members
        the one closest to JSON's own type wins, then the first: a string for ``Decimal | int`` is a ``Decimal``,
        one for ``str | date`` a ``str``, and one for ``date | str`` a ``date`` where it can be. A datetime keeps
        its offset and forgets the name of its zone.

        Raises:
            ArgumentsError: they don't fit the function, or one of them its hint.
            DeclarationError: as :attr:`needs_restore` does.
        """
        if not self.needs_restore:
            return args, kwargs
        bound = self._bind(args, kwargs)
        for name, adapter in self._adapters.items():
            if name in bound.arguments:
                bound.arguments[name] = self._restored(name, bound.arguments[name], adapter)
        return bound.args, bound.kwargs

    def restore_result(self, value: object) -> Any:
        """Return what the function returned, with the type of its return hint.

        What does not fit the hint stays as JSON has it, and so does everything where the hint can't be used: a result
        is there already, and is never lost.
        """
        if self._result_adapter is None:
            return value
        try:
            return self._restored("return", value, self._result_adapter)
        except Exception as misfit:
            # Not only ours: the validators of a user's model raise what they like.
            log.warning("a result of %s stays as JSON has it: %s", self._actor, misfit)
            return value

    def _bind(self, args: Sequence[object], kwargs: Mapping[str, object]) -> BoundArguments:
        try:
            return self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentsError(f"{self._actor}: {error}") from None

    def _restored(self, name: str, value: object, adapter: TypeAdapter[list[Any]]) -> Any:
        try:
            # By way of JSON even for a value that needs nothing, because pydantic reads base64 in JSON only.
            return adapter.validate_json(dumps([value]), by_alias=True, by_name=True)[0]
        except Refused as refused:
            raise ArgumentsError(f"{self._actor}: {Refused(refused.reason, (name, *refused.path[1:]))}") from None
        except ValidationError as invalid:
            error = invalid.errors(include_url=False, include_input=False)[0]
            raise ArgumentsError(f"{self._actor}: {path_text((name, *error['loc'][1:]))}: {error['msg']}") from None

    @cached_property
    def _adapters(self) -> dict[str, TypeAdapter[list[Any]]]:
        """By the name of each parameter whose hint is not plain."""
        parameters = self._signature.parameters.values()
        hints = {parameter.name: self._hint(parameter) for parameter in parameters}
        return {name: self._adapter(f"parameter {name!r}", hint) for name, hint in hints.items() if not _is_plain(hint)}

    @cached_property
    def _result_adapter(self) -> TypeAdapter[list[Any]] | None:
        """None where there is no return hint, or a plain one, or one that can't be used."""
        try:
            hint = self._read("return", self._signature.return_annotation)
            return None if _is_plain(hint) else self._adapter("return", hint)
        except DeclarationError as useless:
            log.warning("%s; its results stay as JSON has them", useless)
            return None

    def _read(self, what: str, annotation: Any) -> Any:
        """Return the hint that *annotation* spells."""
        fn = inspect.unwrap(self._fn)
        scope = getattr(fn if inspect.isroutine(fn) else type(fn).__call__, "__globals__", {})
        # One by one, because the hint of what is returned may name things that only the type checker imports.
        holder = SimpleNamespace(__annotations__={what: annotation})
        try:
            return get_type_hints(holder, scope, include_extras=True)[what]
        except Exception as error:
            # A hint is an expression of the user's, which raises what it likes.
            raise DeclarationError(
                f"{self._actor}: {what}: its hint can't be read: {error}; "
                "what it names must be imported at run time too, not under TYPE_CHECKING alone"
            ) from error

    def _hint(self, parameter: Parameter) -> Any:
        """Return what the parameter's values in :class:`BoundArguments` should be."""
        hint = self._read(f"parameter {parameter.name!r}", parameter.annotation)
        if _is_plain(hint):
            return hint
        match parameter.kind:
            case Parameter.VAR_POSITIONAL:
                return GenericAlias(tuple, (hint, ...))
            case Parameter.VAR_KEYWORD:
                return GenericAlias(dict, (str, hint))
            case _:
                return hint

    def _adapter(self, what: str, hint: Any) -> TypeAdapter[list[Any]]:
        if lost := _lost_in_json(hint):
            raise DeclarationError(f"{self._actor}: {what}: {lost}")
        # In a list, because pydantic hands its configuration to a dataclass inside something, but takes none for one.
        a_list_of_it: Any = GenericAlias(list, (hint,))
        try:
            adapter: TypeAdapter[list[Any]] = TypeAdapter(a_list_of_it, config=_CONFIG)
            adapter.rebuild()
        except Exception as error:
            # So does the schema that a user's class makes of itself.
            raise DeclarationError(f"{self._actor}: {what}: {hint} can't be restored from JSON: {error}") from error
        return adapter


def _is_plain(hint: Any) -> bool:
    if isinstance(hint, NewType):
        return _is_plain(hint.__supertype__)
    origin, inner = get_origin(hint), get_args(hint)
    if origin is None:
        return any(hint is plain for plain in _PLAIN)
    if origin is Literal:
        return all(type(value) in {str, int, bool, NoneType} for value in inner)
    if origin in _OBJECTS and inner[:1] not in {(), (str,), (Any,)}:
        return False  # JSON made strings of the keys
    return origin in {Union, UnionType, *_ARRAYS, *_OBJECTS} and all(map(_is_plain, inner))


def _lost_in_json(hint: Any) -> str | None:
    """Return what is wrong with a hint that pydantic accepts, and whose values would not come back."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in {Iterable, Iterator, Generator}:
        return f"{hint} would come as an iterator that can be read once; hint a list, a Sequence or a Collection"
    if origin is Literal and any(isinstance(value, Enum) and not isinstance(value, str | int) for value in inner):
        return f"{hint} would not be found by its value; hint the Enum, or make it a StrEnum or an IntEnum"
    return next(filter(None, map(_lost_in_json, inner)), None)
