"""A record of how a tick ended in a worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

Outcome = Literal["done", "failed", "skipped"]

# How many characters of a result, and of an error.
LONGEST = 200


@dataclass(frozen=True, slots=True)
class TickRun:
    """How the message of a tick ended.

    Attributes:
        schedule: whose tick it was.
        time: its nominal time, as ISO 8601.
        by: what enqueued it: ``schedule``, ``backfill`` or ``trigger``.
        message_id: that of its message.
        actor: the actor's name.
        outcome: ``done``; ``failed``, for good; or ``skipped``.
        ended: when, in milliseconds since the Unix epoch.
        started: when the last attempt started; None if it did not.
        duration_ms: how long that took, in milliseconds.
        attempt: the number of the last attempt.
        worker: host and process id of the worker.
        result: what the actor returned, as JSON, cut; empty for None, or where its actor stores no results.
        error: why it failed, or was skipped, cut.
    """

    schedule: str
    time: str
    by: str
    message_id: str
    actor: str
    outcome: Outcome
    ended: int
    started: int | None
    duration_ms: int | None
    attempt: int
    worker: str
    result: str = ""
    error: str = ""

    def encode(self) -> bytes:
        """Return it as JSON."""
        fields = {name: value for name, value in asdict(self).items() if value not in ("", None)}
        return json.dumps(fields, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Return what :meth:`encode` was called on; what a later version has added is left out.

        Raises:
            ValueError: it is no such record.
        """
        try:
            fields = json.loads(body)
            if not isinstance(fields, Mapping):
                raise TypeError("no object")
            known: dict[str, Any] = {"started": None, "duration_ms": None}
            known |= {name: value for name, value in fields.items() if name in cls.__slots__}
            for name in ("schedule", "time", "outcome"):
                if not isinstance(known[name], str):
                    raise TypeError(f"{name} is no text")
            return cls(**known | {"ended": int(known["ended"])})
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{body[:200]!r} is no record of a run: {error!r}") from None
