"""A record of an idempotency key, as commands print it: a line of a table, a table of its own, or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from middleware.stores import Record, State

HEADINGS = ("state", "actor", "key", "message", "changed", "lease or due", "lost", "digest")

_UNITS_MS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000))


def record_as_json(record: Record) -> dict[str, Any]:
    """Return *record* in JSON's types, its times as ISO 8601, what is JSON itself as that."""
    return asdict(record) | {
        "result": _decoded(record.result),
        "error": _decoded(record.error),
        "until": moment(record.until) if record.state in (State.RUNNING, State.WAITING) else None,
        "changed": moment(record.changed),
        "expires": moment(record.expires),
    }


def record_row(record: Record, now: int) -> tuple[str, ...]:
    """Return *record* as a row under ``HEADINGS``; *now* is the store's time."""
    lost, age = str(record.lost), f"{duration(now - record.changed)} ago"
    named = (printable(record.scope), printable(record.key), printable(record.owner))
    return record.state, *named, age, _remaining(record, now), lost, record.digest


def record_details(record: Record, now: int) -> Iterator[tuple[str, str]]:
    """Yield all that *record* says, by name; *now* is the store's time."""
    yield "state", record.state
    yield "actor", printable(record.scope)
    yield "key", printable(record.key)
    yield "message", printable(record.owner)
    yield "changed", f"{moment(record.changed)} ({duration(now - record.changed)} ago)"
    yield "lease or due", _remaining(record, now)
    yield "failed attempts", str(record.retries)
    if record.replays:
        yield "replays", str(record.replays)
    yield "lost workers", str(record.lost)
    yield "result", _result_in_words(record)
    yield "error", _error_in_words(record)
    yield "fence", str(record.fence)
    yield "fingerprint", record.fingerprint or "-"
    yield "forgotten", f"{moment(record.expires)} (in {duration(record.expires - now)})"
    yield "digest", record.digest


def printable(text: str) -> str:
    """Return *text*, which may be anybody's, without what could end a line or command a terminal."""
    return text if text.isprintable() else json.dumps(text)


def moment(milliseconds: int) -> str:
    """Return a time since the Unix epoch as ISO 8601."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def duration(milliseconds: int) -> str:
    """Return such as ``850ms``, ``12s`` or ``1h5m``: no more than two units."""
    if milliseconds < 1_000:
        return f"{max(0, milliseconds)}ms"
    parts, left = [], milliseconds
    for unit, size in _UNITS_MS:
        number, left = divmod(left, size)
        parts.append(f"{number}{unit}" if number else "")
    first = next(place for place, part in enumerate(parts) if part)
    return "".join(parts[first : first + 2])


def _remaining(record: Record, now: int) -> str:
    left = record.until - now
    match record.state, left > 0:
        case State.RUNNING, True:
            return f"{duration(left)} left"
        case State.RUNNING, False:
            return f"over for {duration(-left)}"
        case State.WAITING, True:
            return f"due in {duration(left)}"
        case State.WAITING, False:
            return f"due for {duration(-left)}"
    return "-"


def _result_in_words(record: Record) -> str:
    match _decoded(record.result):
        case None:
            return "null" if record.state is State.DONE else "-"
        case {"value": value}:
            return json.dumps(value)
        case {"oversize": size}:
            return f"not kept: {size} bytes are too many"
        case {"skipped": reason}:
            return printable(f"skipped: {reason}")
        case {"unstored": reason}:
            return f"not kept: {reason}"
    return printable(record.result)


def _error_in_words(record: Record) -> str:
    match _decoded(record.error):
        case {"type": kind, "message": message}:
            return printable(f"{kind}: {message}")
    return printable(record.error) or "-"


def _decoded(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return text
