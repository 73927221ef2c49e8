"""Time zones: a name becomes a zone, and a zone becomes stretches of time in which its clocks are not changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from periodic.errors import ScheduleError
from periodic.suggestion import did_you_mean

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_NOTHING = timedelta()


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which a zone's clocks are not changed.

    Attributes:
        begin, end: in UTC; *end* is the first moment of the next stretch.
        offset: of the clocks to UTC.
        change_before: by how much they were put forward when it began; negative for back, zero for neither.
        change_after: by how much they will be when it ends.
    """

    begin: datetime
    end: datetime
    offset: timedelta
    change_before: timedelta
    change_after: timedelta


def zone_of(timezone: object, who: str) -> ZoneInfo:
    """Return the zone that *timezone*, a name such as ``"Europe/Berlin"`` or a ``ZoneInfo``, means.

    Raises:
        ScheduleError: there is none; the text starts with *who*.
    """
    if isinstance(timezone, ZoneInfo) and timezone.key:
        return timezone
    name = "UTC" if timezone is UTC else timezone
    if not isinstance(name, str):
        raise ScheduleError(f"{who}: timezone={timezone!r} must be the name of a zone, or a ZoneInfo that has one")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A folder of zones, such as "America", is an OSError.
        known = available_timezones()
        if not known:
            # As in containers that are made of as little as can be; they lack UTC, too.
            raise ScheduleError(
                f"{who}: timezone={name!r} can't be looked up, since this machine has no time zone data; install "
                "tzdata: apt-get install tzdata, apk add tzdata, or pip install tzdata"
            ) from None
        raise ScheduleError(f"{who}: timezone={name!r} is no known zone{did_you_mean(name, known)}") from None


def stretches(zone: ZoneInfo, moment: datetime) -> Iterator[Stretch]:
    """Yield the stretch that holds *moment*, which is in UTC, and all that follow it.

    Where the clocks are left alone for long, a stretch may end without a change of them, more than a year from any.
    """
    changes = [*_changes(zone, moment.year - 1), *_changes(zone, moment.year)]
    begin, change_before = max(
        (change for change in changes if change[0] <= moment),
        default=(datetime(moment.year - 1, 1, 1, tzinfo=UTC), _NOTHING),
    )
    while begin.year < MAXYEAR - 1:
        changes = [*_changes(zone, begin.year), *_changes(zone, begin.year + 1)]
        end, change_after = min(
            (change for change in changes if change[0] > begin),
            default=(datetime(begin.year + 1, 1, 1, tzinfo=UTC), _NOTHING),
        )
        yield Stretch(begin, end, _offset(zone, begin), change_before, change_after)
        begin, change_before = end, change_after


@lru_cache(maxsize=4096)
def _changes(zone: ZoneInfo, year: int) -> tuple[tuple[datetime, timedelta], ...]:
    """Return when in *year*, in UTC, the clocks are changed, and by how much.

    A ``ZoneInfo`` does not tell, so each day is asked for its offset; changes that cancel out within one are missed.
    """
    last = datetime(year, 1, 1, tzinfo=UTC) - _SECOND
    days = [last + number * _DAY for number in range(366)] + [last.replace(year=year)]
    return tuple(change for lo, hi in pairwise(days) for change in _changes_between(zone, lo, hi))


def _changes_between(zone: ZoneInfo, lo: datetime, hi: datetime) -> Iterator[tuple[datetime, timedelta]]:
    change = _offset(zone, hi) - _offset(zone, lo)
    if not change:
        return
    if hi - lo <= _SECOND:
        yield hi, change
        return
    middle = lo + (hi - lo) // (2 * _SECOND) * _SECOND
    yield from _changes_between(zone, lo, middle)
    yield from _changes_between(zone, middle, hi)


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or _NOTHING
