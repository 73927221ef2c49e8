"""Moments of one day, and schedules, for tests of what follows from them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from periodic import every
from periodic.position import Position
from periodic.schedule import Schedule

MIDNIGHT = datetime(2030, 1, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    """So many seconds after midnight."""
    return MIDNIGHT + timedelta(seconds=seconds)


def each(seconds: float, name: str = "a", **options: Any) -> Schedule:
    """A schedule that ticks at midnight, and whenever so many seconds have gone."""
    return every(seconds=seconds, **options).schedule(name, "job")


def at(seconds: float, name: str = "a") -> Position:
    """Where the tick of *name* stands that is due so many seconds after midnight."""
    return Position(after(seconds), name, after(seconds))
