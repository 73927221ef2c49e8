"""What a replica tells of itself to whoever asks: JSON."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from periodic.health import ready
from periodic.status import Status

# Of schedules that fail only so many are told.
MOST_FAILING = 100


def as_json(status: Status, now: datetime) -> dict[str, Any]:
    """Return *status* in JSON's types: durations in milliseconds, times as ISO 8601."""
    checks = ready(status, time.monotonic())
    return {
        "replica": status.replica,
        "role": status.role.value,
        "since": None if status.since is None else status.since.isoformat(),
        "now": now.isoformat(),
        "ready": all(check.ok for check in checks),
        "checks": [asdict(check) for check in checks],
        "problem": status.problem,
        "looped_at": None if status.looped_at is None else status.looped_at.isoformat(),
        "skew_ms": None if status.skew is None else round(status.skew / timedelta(milliseconds=1)),
        "lateness_ms": round(status.lateness / timedelta(milliseconds=1), 3),
        "enqueued": status.enqueued,
        "missed": status.missed,
        "failing": dict(sorted(status.failing.items())[:MOST_FAILING]),
    }
