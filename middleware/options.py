"""What the value of an option must be: checked when an actor is declared, not when its first message fails."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any, get_args

from dramatiq.middleware import MiddlewareError

from middleware.suggestion import did_you_mean

Check = Callable[[object], Any]

YEAR_MS = 366 * 86_400_000


# A MiddlewareError, because Dramatiq swallows any other error of a hook, and would go on without a policy.
class InvalidPolicy(MiddlewareError, ValueError):
    """An option has a value that could not work."""


class Wrong(Exception):
    """What the value of an option must be; raised by a check."""


def checked(options: Mapping[str, Any], checks: Mapping[str, tuple[str, Check]], actor_name: str) -> dict[str, Any]:
    """Return the values of those *options* that *checks* know, each under the name of its field.

    Raises:
        InvalidPolicy: one could not work.
    """
    values = {}
    for option, value in options.items():
        if option in checks:
            field, check = checks[option]
            try:
                values[field] = check(value)
            except Wrong as wrong:
                raise InvalidPolicy(f"actor {actor_name!r}: {option}={value!r} {wrong}") from None
    return values


def refuse_timedeltas(options: Mapping[str, Any], durations: Collection[str], actor_name: str) -> None:
    """Refuse durations of a message that could not travel.

    Raises:
        InvalidPolicy: one is a timedelta.
    """
    for option in options.keys() & durations:
        if isinstance(options[option], timedelta):
            raise InvalidPolicy(f"actor {actor_name!r}: {option}= must be an int of milliseconds in a message")


def milliseconds(duration: timedelta) -> int:
    """Return *duration* in milliseconds, rounded up."""
    return -(duration // timedelta(milliseconds=-1))


def a_flag(value: object) -> bool:
    """Return *value*, a bool."""
    if not isinstance(value, bool):
        raise Wrong("must be True or False")
    return value


def a_text(value: object) -> str:
    """Return *value*, a str that is not empty."""
    if not isinstance(value, str) or not value:
        raise Wrong("must be a str that is not empty")
    return value


def a_count(least: int) -> Check:
    """Return a check for an int of at least *least*."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise Wrong(f"must be an int of at least {least}")
        return value

    return check


def a_duration(least_ms: int, most_ms: int) -> Check:
    """Return a check for a duration, whose value is milliseconds."""

    def check(value: object) -> int:
        ms = milliseconds(value) if isinstance(value, timedelta) else value
        if isinstance(ms, bool) or not isinstance(ms, int) or not least_ms <= ms <= most_ms:
            years = most_ms // YEAR_MS
            longest = f"{years} year{'s' if years > 1 else ''}"
            raise Wrong(f"must be an int of milliseconds, or a timedelta, from {least_ms} ms to {longest}")
        return ms

    return check


def one_of(choice: object) -> Check:
    """Return a check for one of the strings of *choice*, a ``Literal``."""
    names: tuple[str, ...] = get_args(choice)
    allowed = f"{', '.join(map(repr, names[:-1]))} or {names[-1]!r}"

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise Wrong(f"must be {allowed}")
        if value not in names:
            raise Wrong(f"must be {allowed}{did_you_mean(value, names)}")
        return value

    return check


def or_none(check: Check) -> Check:
    """Return a check for None, or else what *check* allows."""

    def optional(value: object) -> Any:
        try:
            return None if value is None else check(value)
        except Wrong as wrong:
            raise Wrong(f"{wrong}, or None") from None

    return optional
