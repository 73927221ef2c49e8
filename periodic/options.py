"""The options that every schedule may have, checked where they are declared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypedDict, get_args

from periodic.errors import ScheduleError
from periodic.suggestion import did_you_mean

Overlap = Literal["allow", "skip", "queue_one"]

# A name travels in headers and in the watermark, which must fit into one frame; 255 is what AMQP's own names may have.
LONGEST_NAME = 255

_DAY = timedelta(days=1)
_YEAR = 366 * _DAY


class ScheduleOptions(TypedDict, total=False):
    """The options of a schedule; durations are milliseconds, or a timedelta.

    Attributes:
        name: what it is called, in 255 bytes of UTF-8 at most; default the name of its actor. Of an actor's several
            schedules each has its own.
        args, kwargs: what the actor is called with.
        queue: the queue of its messages; default the actor's.
        priority: their ``broker_priority``, for queues with ``ACTORS_QUEUE_MAX_PRIORITY``; higher goes first.
        jitter: each tick is published later than its time, by less than this and before the next tick's time; by how
            much, is fixed by the schedule's name and that time. At most a day; default 0.
        catch_up: ticks missed since no longer than this are all enqueued; default 60 seconds. One that is less than a
            second late is not missed.
        coalesce: whether of ticks missed for longer only the latest is enqueued; default True.
        cap: how many of them at most are enqueued with ``coalesce=False``, the latest ones; default 100.
        overlap: while a run of the schedule goes on, ``allow`` another beside it, the default; ``skip`` the tick; or
            ``queue_one``: one tick waits for its end, and those beyond it are skipped. What is skipped is recorded.
        start: no tick has an earlier time.
        end: every tick has an earlier time.
    """

    name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    queue: str
    priority: int
    jitter: int | timedelta
    catch_up: int | timedelta
    coalesce: bool
    cap: int
    overlap: Overlap
    start: datetime
    end: datetime


def checked(options: Mapping[str, Any], who: str, *, beside: Collection[str] = ()) -> dict[str, Any]:
    """Return *options* as a schedule keeps them: durations as timedeltas, moments in UTC.

    Args:
        options: by name, as they were given.
        who: what the text of an error starts with.
        beside: what else may be given there, and may have been meant.

    Raises:
        ScheduleError: one is unknown, or its value could not work; the text starts with *who*.
    """
    values = {}
    for option, value in options.items():
        if option not in _CHECKS:
            raise ScheduleError(f"{who}: unknown option {option!r}{did_you_mean(option, [*beside, *_CHECKS])}")
        try:
            values[option] = _CHECKS[option](value)
        except _Wrong as wrong:
            raise ScheduleError(f"{who}: {option}={value!r} {wrong}") from None
    start, end = values.get("start"), values.get("end")
    if start and end and start >= end:
        raise ScheduleError(f"{who}: start={start.isoformat()} is not before end={end.isoformat()}")
    return values


def aware(value: object, who: str, option: str) -> datetime:
    """Return *value* in UTC.

    Raises:
        ScheduleError: it is no datetime, or has no time zone.
    """
    try:
        return _a_moment(value)
    except _Wrong as wrong:
        raise ScheduleError(f"{who}: {option}={value!r} {wrong}") from None


def one_of(choice: object, value: object, who: str, option: str) -> Any:
    """Return *value*, one of the strings of *choice*, a ``Literal``.

    Raises:
        ScheduleError: it is none of them.
    """
    try:
        return _one_of(choice)(value)
    except _Wrong as wrong:
        raise ScheduleError(f"{who}: {option}={value!r} {wrong}") from None


class _Wrong(Exception):
    """What the value of an option must be; raised by a check."""


def _a_text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _Wrong("must be a str that is not empty")
    return value


def _a_name(value: object) -> str:
    text = _a_text(value)
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise _Wrong("can't be written as UTF-8") from None
    if length > LONGEST_NAME:
        raise _Wrong(f"has {length:,} bytes in UTF-8, and may have {LONGEST_NAME}")
    return text


def _some_args(value: object) -> tuple[Any, ...]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise _Wrong("must be a tuple or a list")
    return tuple(value)


def _some_kwargs(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise _Wrong("must be a dict with str keys")
    return dict(value)


def _a_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("must be True or False")
    return value


def _an_int(least: int, most: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _Wrong(f"must be an int from {least:,} to {most:,}")
        return value

    return check


def _a_duration(most: timedelta) -> Callable[[object], timedelta]:
    def check(value: object) -> timedelta:
        if isinstance(value, int) and not isinstance(value, bool):
            # Compared as an int, because no timedelta holds what is far beyond.
            value = timedelta(milliseconds=value) if 0 <= value <= most // timedelta(milliseconds=1) else None
        if not isinstance(value, timedelta) or not timedelta() <= value <= most:
            raise _Wrong(f"must be an int of milliseconds, or a timedelta, from 0 to {most.days} days")
        return value

    return check


def _a_moment(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise _Wrong("must be a datetime with a time zone")
    if value.utcoffset() is None:
        raise _Wrong("has no time zone; use datetime(…, tzinfo=UTC), or .replace(tzinfo=ZoneInfo('…'))")
    return value.astimezone(UTC)


def _one_of(choice: object) -> Callable[[object], Any]:
    names = get_args(choice)

    def check(value: object) -> object:
        if value not in names:
            hint = did_you_mean(value, names) if isinstance(value, str) else ""
            raise _Wrong(f"must be {', '.join(map(repr, names[:-1]))} or {names[-1]!r}{hint}")
        return value

    return check


_CHECKS: dict[str, Callable[[object], Any]] = {
    "name": _a_name,
    "args": _some_args,
    "kwargs": _some_kwargs,
    "queue": _a_text,
    "priority": _an_int(0, 255),
    "jitter": _a_duration(_DAY),
    "catch_up": _a_duration(_YEAR),
    "coalesce": _a_flag,
    "cap": _an_int(0, 10_000),
    "overlap": _one_of(Overlap),
    "start": _a_moment,
    "end": _a_moment,
}
