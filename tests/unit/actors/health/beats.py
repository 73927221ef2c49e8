"""Heartbeats for tests."""

import os
from typing import Any

from actors.health.heartbeat import Consuming, Heartbeat
from actors.health.process import started


def beat(**fields: Any) -> Heartbeat:
    """What a process tells that is well, at second 1,000; of this one, if not said otherwise."""
    well: dict[str, Any] = {
        "pid": os.getpid(),
        "started": started(os.getpid()),
        "at_s": 1_000.0,
        "processes": 1,
        "actors": 2,
        "consumers": (Consuming("default", "", 999.5),),
    }
    return Heartbeat(**well | fields)
