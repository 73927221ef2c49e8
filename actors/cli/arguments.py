"""What a command is given as text: JSON arguments, durations and times."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import typer

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"[0-9]{1,15}|(?:[0-9]{1,15}(?:ms|s|m|h|d))+")
_PART = re.compile(r"([0-9]+)(ms|s|m|h|d)")
_LONGEST_MS = 10 * 366 * _UNITS_MS["d"]


def parse_arguments(args: str, kwargs: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what ``--args`` and ``--kwargs`` say.

    Raises:
        typer.BadParameter: one is not JSON, or the first not a list, or the second not an object.
    """
    positional, keyword = _json("--args", args, '[1, "two"]'), _json("--kwargs", kwargs, '{"order_id": 42}')
    if not isinstance(positional, list):
        raise typer.BadParameter(f"{args} is not a list; write [{args}]", param_hint="--args")
    if not isinstance(keyword, dict):
        example = '{"order_id": 42}'
        raise typer.BadParameter(f"{kwargs} is not an object; write one such as {example}", param_hint="--kwargs")
    return tuple(positional), keyword


def parse_delay(delay: str | None, eta: str | None, *, now: datetime) -> int | None:
    """Return the milliseconds from *now* that ``--delay`` or ``--eta`` ask for, or None; a past time is 0.

    Raises:
        typer.BadParameter: they are malformed, or both given, or the time has no zone.
    """
    if delay is not None and eta is not None:
        raise typer.BadParameter("give --delay or --eta, not both", param_hint="--eta")
    if delay is not None:
        return parse_duration(delay, "--delay")
    if eta is None:
        return None
    return max(0, -((now - parse_time(eta, "--eta")) // timedelta(milliseconds=1)))


def parse_duration(text: str, option: str) -> int:
    """Return the milliseconds that *text*, the value of *option*, says.

    Raises:
        typer.BadParameter: it is malformed, or more than ten years.
    """
    if not _DURATION.fullmatch(text):
        problem = f"{text!r} is no duration; write 500ms, 30s, 5m, 1h30m or 2d, or a number of milliseconds"
        raise typer.BadParameter(problem, param_hint=option)
    parts = _PART.findall(text) or [(text, "ms")]
    milliseconds = sum(int(number) * _UNITS_MS[unit] for number, unit in parts)
    if milliseconds > _LONGEST_MS:
        raise typer.BadParameter(f"{text!r} is more than ten years", param_hint=option)
    return milliseconds


def parse_time(text: str, option: str) -> datetime:
    """Return the moment that *text*, the value of *option*, says, in UTC.

    Raises:
        typer.BadParameter: it is malformed, or has no time zone.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        problem = f"{text!r} is no ISO 8601 time; write one such as 2026-03-01T09:00:00+08:00"
        raise typer.BadParameter(problem, param_hint=option) from None
    if time.utcoffset() is None:
        whole = time.isoformat()
        problem = f"{text!r} has no time zone; write {whole}Z for UTC, or its offset, such as {whole}+08:00"
        raise typer.BadParameter(problem, param_hint=option)
    return time.astimezone(UTC)


def _json(option: str, text: str, example: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"not JSON ({error}); write '{example}'", param_hint=option) from None
