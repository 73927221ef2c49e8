"""Dead letters as commands print them: rows of tables, or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from time import time_ns
from typing import Any

from actors.cli.records import duration, moment, printable
from actors.dead_letters import Dead, Group, Groups, Looked, Objection, Preview

HEADINGS = ("letter", "message", "actor", "queue", "reason", "error", "tries", "died", "expires")
GROUP_HEADINGS = ("letters", "actor", "reason", "error", "first", "last", "fingerprint", "example")
LONGEST_ERROR = 60


def row(dead: Dead, now: int) -> tuple[str, ...]:
    """Return *dead* as a row under ``HEADINGS``."""
    letter = dead.letter
    tries = f"{letter.attempts}" + (f", replay {letter.replays}" if letter.replays else "")
    return (
        printable(letter.id),
        printable(letter.message_id) or "-",
        printable(letter.actor) or "-",
        printable(dead.queue),
        printable(letter.reason) or "-",
        short(f"{letter.error_type}: {letter.error}"),
        tries,
        ago(letter.died, now),
        ahead(dead.expires, now) if dead.expires is not None else "-",
    )


def group_row(group: Group, now: int) -> tuple[str, ...]:
    """Return *group* as a row under ``GROUP_HEADINGS``."""
    return (
        f"{group.count:,}",
        printable(group.actor) or "-",
        printable(group.reason) or "-",
        short(f"{group.error_type}: {group.example.letter.error}"),
        ago(group.first, now),
        ago(group.last, now),
        printable(group.fingerprint),
        printable(group.example.letter.id),
    )


def details(dead: Dead, now: int) -> Iterator[tuple[str, str]]:
    """Yield all that *dead* says, by name."""
    letter = dead.letter
    yield "letter", printable(letter.id)
    yield "message", printable(letter.message_id) or "-"
    yield "actor", printable(letter.actor) or "-"
    physical = f", in {printable(dead.found_in)}" if dead.found_in != dead.queue else ""
    yield "queue", f"{printable(dead.queue)}{physical}"
    yield "reason", printable(letter.reason) or "-"
    yield "error", printable(f"{letter.error_type}: {letter.error}")
    yield "fingerprint", printable(letter.fingerprint)
    yield "key", printable(letter.key) or "-"
    yield "attempts", str(letter.attempts)
    yield "replays", str(letter.replays)
    yield "sent", ago(letter.enqueued, now)
    yield "first failed", ago(letter.first, now)
    yield "died", ago(letter.died, now)
    yield "expires", ahead(dead.expires, now) if dead.expires is not None else "never"
    yield "worker", printable(letter.worker) or "-"
    yield "version", printable(letter.version) or "-"
    yield "bytes", f"{dead.size:,}"


def as_json(dead: Dead) -> dict[str, Any]:
    """Return *dead* in JSON's types, its times as ISO 8601."""
    letter = dead.letter
    return {
        **asdict(letter),
        **{name: time(getattr(letter, name)) for name in ("enqueued", "first", "died")},
        "queue": dead.queue,
        "found_in": dead.found_in,
        "expires": time(dead.expires),
        "bytes": dead.size,
    }


def group_as_json(group: Group) -> dict[str, Any]:
    """Return *group* in JSON's types."""
    return asdict(group) | {
        "first": time(group.first),
        "last": time(group.last),
        "example": as_json(group.example),
    }


def groups_as_json(groups: Groups) -> dict[str, Any]:
    """Return *groups* in JSON's types."""
    return {
        "count": groups.count,
        "groups": [group_as_json(group) for group in groups.groups],
        "in_further_groups": groups.others,
    }


def looked_as_json(looked: Looked) -> dict[str, Any]:
    """Return *looked* in JSON's types."""
    return {
        "queue": looked.queue,
        "found_in": looked.found_in,
        "letters": looked.seen + looked.left,
        "looked_at": looked.seen,
    }


def preview_as_json(preview: Preview) -> dict[str, Any]:
    """Return *preview* in JSON's types."""
    return groups_as_json(preview.groups) | {
        "ready": preview.ready,
        "kept": dict(preview.objections),
        "examples": [objection_as_json(dead, objection) for dead, objection in preview.examples],
    }


def objection_as_json(dead: Dead, objection: Objection) -> dict[str, Any]:
    """Return why *dead* is kept, in JSON's types."""
    return {
        "id": dead.letter.id,
        "message_id": dead.letter.message_id,
        "actor": dead.letter.actor,
        **asdict(objection),
    }


def short(text: str) -> str:
    """Return the beginning of *text*, printable."""
    first = text.split("\n", 1)[0]
    return printable(first if len(first) <= LONGEST_ERROR else f"{first[: LONGEST_ERROR - 1]}…")


def ago(at: int, now: int) -> str:
    """Return when *at* was, and how long ago; ``-`` for a time that is not known."""
    return f"{time(at)} ({duration(now - at)} ago)" if at else "-"


def ahead(at: int, now: int) -> str:
    """Return when *at* is, and in how long."""
    return f"{time(at)} (in {duration(at - now)})"


def now() -> int:
    """Return the milliseconds since the Unix epoch."""
    return time_ns() // 1_000_000


def time(at: int | None) -> str | None:
    """Return *at* as ISO 8601; None for a time that is not known."""
    if not at:
        return None
    try:
        return moment(at)
    except (OverflowError, ValueError):  # beyond the year 9999, as from a sender that counts in another unit
        return f"{at} ms after 1970"
