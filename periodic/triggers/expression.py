"""A cron expression: which times of which days the wall clock must show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b

from cronsim import CronSim, CronSimError

from periodic.errors import ScheduleError
from periodic.suggestion import did_you_mean
from periodic.triggers.fields import FIELDS, Fault, plain

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_DAY = timedelta(days=1)
# 29 February comes once in eight years at worst, and its weekdays in forty: 2000 to 2099 has each.
_CENTURY = (datetime(2000, 1, 1), datetime(2100, 1, 1))


@dataclass(frozen=True, slots=True)
class Expression:
    """A cron expression that is known to be right, and to fire.

    cronsim reads it and says which days it means, by Debian's rules: Sunday is 0 and 7, and where both the day of the
    month and the day of the week are given, either will do.

    Attributes:
        text: as it was given.
        hashed: whether it has an ``H``, which is not the same for each schedule.
        every_hour: whether it fires in each hour of its days.
        interval: whether its minutes or its hours begin with ``*`` or ``H/``: Debian's mark of what is no time of day.
    """

    text: str
    hashed: bool
    every_hour: bool
    interval: bool
    _calendar: CronSim = field(repr=False, compare=False)
    _times: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] = field(repr=False)

    def times(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        """Yield what the wall clock must show, from *begin* up to but without *end*; all of them naive."""
        for day in self._days(begin, end):
            for time in self._times_of(day, begin):
                if time >= end:
                    return
                yield time

    def _days(self, begin: datetime, end: datetime) -> Iterator[date]:
        calendar, day, last = self._calendar, begin.date(), end.date()
        while day <= last:
            if day.month not in calendar.months:
                day = (day.replace(day=1) + 31 * _DAY).replace(day=1)
                continue
            if calendar.match_day(day):
                yield day
            day += _DAY

    def _times_of(self, day: date, begin: datetime) -> Iterator[datetime]:
        """Yield the times of *day* that are not before *begin*."""
        year, month, number = day.year, day.month, day.day
        hours, minutes, seconds = self._times
        from_hour, from_minute = (begin.hour, begin.minute) if day == begin.date() else (0, 0)
        for hour in hours:
            if hour < from_hour:
                continue
            for minute in minutes:
                if hour == from_hour and minute < from_minute:
                    continue
                for second in seconds:
                    time = datetime(year, month, number, hour, minute, second)
                    if time >= begin:
                        yield time


@lru_cache(maxsize=4096)
def parse(text: str, who: str, name: str = "") -> Expression:
    """Return the expression that *text* spells, for the schedule *name*.

    Raises:
        ScheduleError: it can't be read, or would never fire; the text starts with *who*, and tells the place.
    """
    words = [(match[0], match.start()) for match in re.finditer(r"\S+", _unaliased(text, who))]
    if not 5 <= len(words) <= 6:
        raise ScheduleError(f"{who}: {text!r} — {_wrong_number(text, words)}")
    fields = FIELDS[-len(words) :]
    parts = ["0"] * (6 - len(words))
    for number, (kind, (word, start)) in enumerate(zip(fields, words, strict=True), start=1):
        try:
            parts.append(plain(kind, word, lambda field, size: _spread(name, field, size)))
        except Fault as fault:
            place = f"(field {number}, column {start + fault.offset + 1})"
            raise ScheduleError(f"{who}: {text!r} — {fault.problem} {place}") from None
    return _checked(text, parts, [word for word, _ in words], who)


def _checked(text: str, parts: list[str], words: list[str], who: str) -> Expression:
    place = f"(field {len(words) - 2}, column {_column(text, len(words) - 3)})"
    never = ScheduleError(f"{who}: {text!r} — never fires: no month that it names has such a day {place}")
    try:
        calendar = CronSim(" ".join(parts), _CENTURY[0])
    except CronSimError:
        # Of fields that are right by themselves it refuses some days that no month has.
        raise never from None
    expression = Expression(
        text=text,
        hashed=re.search(r"(^|[\s,])[Hh]", text) is not None,
        every_hour=len(calendar.hours) == 24,
        interval=any(re.match(r"\*|[Hh](\(.*\))?/", word) for word in words[-5:-3]),
        _calendar=calendar,
        _times=(_sorted(calendar.hours), _sorted(calendar.minutes), _sorted(calendar.seconds)),
    )
    if next(expression.times(*_CENTURY), None) is None:
        raise never
    return expression


def _wrong_number(text: str, words: list[tuple[str, int]]) -> str:
    place = f"(field 7, column {words[6][1] + 1})" if len(words) > 6 else f"(column {len(text) + 1})"
    order = "minute hour day-of-month month day-of-week"
    hint = "; the zone goes to timezone=" if "TZ=" in text else ""
    return f"has {len(words)} fields; give 5 ({order}), or 6 with seconds first{hint} {place}"


def _unaliased(text: str, who: str) -> str:
    word = text.strip().lower()
    if not word.startswith("@"):
        return text
    if word in ALIASES:
        return ALIASES[word]
    if word.startswith("@every"):
        raise ScheduleError(f"{who}: {text!r} — is no cron expression (field 1, column 1); use every(minutes=…)")
    if word == "@reboot":
        raise ScheduleError(f"{who}: {text!r} — no machine's start is a time that replicas share (field 1, column 1)")
    hint = did_you_mean(word, ALIASES)
    raise ScheduleError(f"{who}: {text!r} — is not known (field 1, column 1){hint}")


def _column(text: str, index: int) -> int:
    """Return where the field *index* begins; the first column is 1. A period's name is one field."""
    words = list(re.finditer(r"\S+", text))
    return words[min(index, len(words) - 1)].start() + 1


def _sorted(values: set[int]) -> tuple[int, ...]:
    return tuple(sorted(values))


def _spread(name: str, field: str, size: int) -> int:
    """Return a number below *size* that is always the same for the schedule *name*, and hardly for others."""
    return int.from_bytes(blake2b(f"{name}\n{field}".encode(), digest_size=8).digest()) % size
