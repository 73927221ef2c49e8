"""A scheduler under ``actors dev``: that of ``python -m periodic``, which also tells what comes next.

Run as ``python -m actors.dev.scheduler MODULES``.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from dramatiq.errors import BrokerError

from actors.assembly import broker
from actors.cli.periodic import main
from actors.dev.telling import tell
from actors.errors import ActorsError
from actors.operating import operator

TIMEOUT_S = 2.0
# How soon it looks again at the earliest and at the latest, and while nobody leads.
SOON_S, LATE_S, NOBODY_S = 1.0, 10.0, 0.5
MOST_SCHEDULES = 1_000
MOST_TOLD = 5
LONGEST_NAME = 100


def watch() -> None:
    """Tell for ever who leads, and what the next ticks are."""
    # Before the modules are loaded, a look would choose a broker, which one of them may want to configure.
    while not broker.is_in_use:
        time.sleep(0.05)
    while True:
        pause_s = NOBODY_S
        try:
            page = operator(timeout_s=TIMEOUT_S).page(limit=MOST_SCHEDULES)
        except (ActorsError, BrokerError):
            pass  # an outage, which others log
        else:
            coming = soonest(page.schedules)
            if page.leader:
                tell("schedules", leads=page.leader.endswith(f":{os.getpid()}"), leader=page.leader, next=coming)
                pause_s = until_next(coming, datetime.now(UTC))
        time.sleep(pause_s)


def soonest(schedules: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return name and time of the next ticks of *schedules*, the first of them first."""
    coming = sorted((each["due"], each["schedule"]) for each in schedules if each["due"])
    return [{"schedule": name[:LONGEST_NAME], "time": at} for at, name in coming[:MOST_TOLD]]


def until_next(coming: list[dict[str, str]], now: datetime) -> float:
    """Return in how many seconds there may be something new to tell."""
    if not coming:
        return LATE_S
    left_s = (datetime.fromisoformat(coming[0]["time"]) - now).total_seconds()
    return min(LATE_S, max(SOON_S, left_s))


if __name__ == "__main__":
    threading.Thread(target=watch, daemon=True).start()
    main()
