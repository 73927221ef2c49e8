"""How often a schedule fires, roughly."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import islice, pairwise

from periodic.triggers.trigger import Trigger

_LOOK_AHEAD = 4


class Pace(StrEnum):
    """How often a schedule fires, roughly; what runs each second must not push out the records of what runs each day.

    ``SECONDS``: more than once a minute. ``MINUTES``: more than once an hour. ``HOURS``: more than once a day.
    ``DAYS``: less often.
    """

    SECONDS = "seconds"
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"


_SHORTEST = {
    Pace.SECONDS: timedelta(minutes=1),
    Pace.MINUTES: timedelta(hours=1),
    Pace.HOURS: timedelta(days=1),
}


def pace_of(trigger: Trigger, now: datetime) -> Pace:
    """Return how often *trigger* fires, by its first few times from the day of *now* on."""
    return _pace_of(trigger, now.replace(hour=0, minute=0, second=0, microsecond=0))


@lru_cache(maxsize=20_000)
def _pace_of(trigger: Trigger, day: datetime) -> Pace:
    times = islice(trigger.after(day), _LOOK_AHEAD)
    shortest = min((later - earlier for earlier, later in pairwise(times)), default=timedelta.max)
    return next((pace for pace, limit in _SHORTEST.items() if shortest < limit), Pace.DAYS)
