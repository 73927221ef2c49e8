"""Finds the application's rule of what log lines may say."""

from __future__ import annotations

import importlib
from functools import lru_cache, partial
from typing import Any

from actors.errors import LoadingError
from middleware.redaction import Redact


def redaction_of(chosen: str | Redact) -> Redact | None:
    """Return what has the last word on the fields of a line, by the setting; None if nobody has."""
    if not isinstance(chosen, str):
        return chosen
    return partial(_redact, chosen) if chosen else None


@lru_cache
def function_at(place: str) -> Redact:
    """Return the function at *place*, ``module:function``.

    Raises:
        LoadingError: there is none.
    """
    module, _, name = place.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise LoadingError(f"ACTORS_LOG_REDACT={place} can't be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise LoadingError(f"ACTORS_LOG_REDACT={place} is no function, but of type {type(found).__name__}")
    function: Redact = found
    return function


def _redact(place: str, fields: dict[str, Any]) -> dict[str, Any] | None:
    # A worker has refused to start where there is none; elsewhere it costs a line what may be private, and no more.
    return function_at(place)(fields)
