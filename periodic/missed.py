"""A record of ticks that were not enqueued."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

# How many records are kept; the oldest make room for new ones.
MOST_MISSED = 10_000


@dataclass(frozen=True, slots=True)
class Missed:
    """Why a tick was not enqueued, or a row of them.

    A leader that takes over in the midst of a catch-up may write the same record again.

    Attributes:
        schedule: whose tick it was.
        time: its nominal time, in UTC.
        reason: why, in words.
        until: the last of a row of ticks of which *time* is the first; None for one tick.
    """

    schedule: str
    time: datetime
    reason: str
    until: datetime | None = None

    def encode(self) -> bytes:
        """Return it as JSON."""
        fields = {"schedule": self.schedule, "time": self.time.isoformat(), "reason": self.reason}
        if self.until is not None:
            fields["until"] = self.until.isoformat()
        return json.dumps(fields, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Return what :meth:`encode` was called on.

        Raises:
            ValueError: it is no such record.
        """
        try:
            fields: dict[str, Any] = json.loads(body)
            until = fields.get("until")
            return cls(
                schedule=fields["schedule"],
                time=datetime.fromisoformat(fields["time"]),
                reason=fields["reason"],
                until=None if until is None else datetime.fromisoformat(until),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{body[:200]!r} is no record of a missed tick: {error!r}") from None

    def __str__(self) -> str:
        when = self.time.isoformat() if self.until is None else f"{self.time.isoformat()} to {self.until.isoformat()}"
        return f"{self.schedule}: {when} missed: {self.reason}"
