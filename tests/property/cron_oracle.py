"""When a cron expression fires, found by looking at the wall clock in each minute; written from the rules alone.

The rules: a minute, hour, month and day that the clock shows must each be among those of the expression. Where neither
the day of the month nor that of the week begins with ``*``, one of the two will do. What the clock leaves out fires at
the first minute after it, if the policy says so; what it shows twice fires as the policy says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
# More than clocks are ever put forward or back.
MARGIN = timedelta(hours=26)


@dataclass(frozen=True)
class Part:
    """One field: its text, and which numbers, or which days, it means."""

    text: str
    allows: Callable[[int], bool]


@dataclass(frozen=True)
class DayPart:
    text: str
    allows: Callable[[date], bool]


@dataclass(frozen=True)
class Oracle:
    minute: Part
    hour: Part
    day: DayPart
    month: Part
    weekday: DayPart

    @property
    def text(self) -> str:
        return " ".join(part.text for part in (self.minute, self.hour, self.day, self.month, self.weekday))

    @property
    def default_gap(self) -> str:
        return "skip" if all(map(self.hour.allows, range(24))) else "end"

    @property
    def default_repeat(self) -> str:
        marked = self.minute.text[0] == "*" or self.hour.text[0] == "*"
        return "both" if marked or all(map(self.hour.allows, range(24))) else "first"

    def matches_day(self, day: date) -> bool:
        if not self.month.allows(day.month):
            return False
        if self.day.text[0] == "*" or self.weekday.text[0] == "*":
            return self.day.allows(day) and self.weekday.allows(day)
        return self.day.allows(day) or self.weekday.allows(day)

    def times(self, zone: ZoneInfo, begin: datetime, end: datetime, gap: str, repeat: str) -> list[datetime]:
        """The moments from *begin* up to but without *end*, both in UTC and on a minute."""
        minutes = list(minutes_between(begin - MARGIN, end + MARGIN))
        walls = [minute.astimezone(zone).replace(tzinfo=None) for minute in minutes]
        shown, seen = Counter(walls), Counter[datetime]()
        matches_day = cache(self.matches_day)

        def matches(wall: datetime) -> bool:
            return self.minute.allows(wall.minute) and self.hour.allows(wall.hour) and matches_day(wall.date())

        found = []
        for index, (minute, wall) in enumerate(zip(minutes, walls, strict=True)):
            seen[wall] += 1
            fires = matches(wall)
            if shown[wall] > 1 and repeat != "both":
                fires = fires and seen[wall] == (1 if repeat == "first" else shown[wall])
            if gap == "end" and index:
                fires = fires or any(map(matches, minutes_between(walls[index - 1] + MINUTE, wall)))
            if fires and begin <= minute < end:
                found.append(minute)
        return found


def minutes_between(begin: datetime, end: datetime) -> Iterator[datetime]:
    for number in range((end - begin) // MINUTE):
        yield begin + number * MINUTE


def changes(zone: ZoneInfo, year: int) -> list[datetime]:
    """The hours of *year* in which the clocks of *zone* are put forward or back."""
    first = datetime(year, 1, 1, tzinfo=UTC)
    hours = [first + timedelta(hours=number) for number in range(366 * 24)]
    offsets = [hour.astimezone(zone).utcoffset() for hour in hours]
    return [hours[index] for index in range(1, len(hours)) if offsets[index] != offsets[index - 1]]
