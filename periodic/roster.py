"""The roster: which schedules there are, since when, and which of them are paused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any, Self

from periodic.position import Position
from periodic.schedule import Schedule


def timing_of(schedule: Schedule) -> str:
    """Return 16 hexadecimal digits of what decides when *schedule* ticks."""
    text = f"{schedule.trigger.text}\n{schedule.jitter}\n{schedule.start}\n{schedule.end}"
    return blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a schedule.

    Attributes:
        timing: a hash of what decides when it ticks; its other options may change without a trace.
        since: its ticks count from here on, in UTC: when this timing was first seen, or it was resumed.
        resume: where it stood when its batch was made, if that was behind the watermark; or when it went.
        gone_at: when a leader that does not know it came, in UTC; None if the newest leader knows it.
        paused: whether it enqueues nothing until it is resumed.
        more: what later versions keep here.
    """

    timing: str
    since: datetime
    resume: Position | None = None
    gone_at: datetime | None = None
    paused: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        fields: dict[str, Any] = {**self.more, "timing": self.timing, "since": self.since.isoformat()}
        if self.resume is not None:
            fields["resume"] = self.resume.to_json()
        if self.gone_at is not None:
            fields["gone_at"] = self.gone_at.isoformat()
        if self.paused:
            fields["paused"] = True
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Return what :meth:`to_json` was called on."""
        more = dict(fields)
        resume, gone_at = more.pop("resume", None), more.pop("gone_at", None)
        return cls(
            timing=more.pop("timing"),
            since=datetime.fromisoformat(more.pop("since")),
            resume=None if resume is None else Position.from_json(resume),
            gone_at=None if gone_at is None else datetime.fromisoformat(gone_at),
            paused=bool(more.pop("paused", False)),
            more=more,
        )


@dataclass(frozen=True, slots=True)
class Roster:
    """All schedules.

    Attributes:
        entries: by the name of the schedule.
        batch: the number of the batch that the entries with a ``resume`` are, while they are not gone.
        generation: the highest ``ACTORS_GENERATION`` that has led.
        more: what later versions keep here, such as schedules made at run time; an older one passes it on.
    """

    entries: Mapping[str, Entry] = field(default_factory=dict)
    batch: int = 0
    generation: int = 0
    more: Mapping[str, Any] = field(default_factory=dict)

    def with_entry(self, name: str, entry: Entry) -> Roster:
        """Return the roster with *entry* for *name*."""
        return replace(self, entries={**self.entries, name: entry})

    def encode(self) -> bytes:
        """Return it as JSON."""
        schedules = {name: entry.to_json() for name, entry in self.entries.items()}
        fields = {**self.more, "batch": self.batch, "generation": self.generation, "schedules": schedules}
        return json.dumps(fields, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Return what :meth:`encode` was called on.

        Raises:
            ValueError: it is no roster.
        """
        try:
            more = json.loads(body)
            return cls(
                entries={name: Entry.from_json(each) for name, each in more.pop("schedules").items()},
                batch=int(more.pop("batch")),
                generation=int(more.pop("generation")),
                more=more,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{body[:200]!r} is no roster: {error!r}") from None
