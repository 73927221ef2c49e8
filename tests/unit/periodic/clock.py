"""What schedules do, as the clocks of their zone show it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from periodic import cron
from periodic.preview import preview

MICROSECOND = timedelta(microseconds=1)


def fired(expr: str, zone: str, begin: str, end: str, **options: Any) -> list[str]:
    """When it fires from *begin* up to but without *end*, both local with their offset: ``MM-DD HH:MM±hh:mm``."""
    schedule = cron(expr, timezone=zone, **options).schedule("nightly", "report")
    ticks = schedule.ticks_after(datetime.fromisoformat(begin) - MICROSECOND)
    found: list[str] = []
    for tick in ticks:
        if tick.time >= datetime.fromisoformat(end):
            return found
        local = tick.time.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes")
        found.append(local[5:].replace("T", " "))
    return found


def previewed(expr: str, zone: str, begin: str, end: str, **options: Any) -> list[tuple[str, bool, str]]:
    """Local time with its offset, whether it fires, and the note, of each line of a preview."""
    schedule = cron(expr, timezone=zone, **options).schedule("nightly", "report")
    lines = preview(schedule, datetime.fromisoformat(begin), datetime.fromisoformat(end))
    return [(line.local.isoformat(timespec="minutes"), line.tick is not None, line.note) for line in lines]
