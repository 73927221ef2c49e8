"""A cron expression on the clocks of a zone, and what becomes of it where they are changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from periodic.triggers.expression import Expression, parse
from periodic.triggers.trigger import Firing, Trigger
from periodic.zone import Stretch, stretches

Gap = Literal["end", "skip"]
Repeat = Literal["first", "last", "both"]

_NOTHING = timedelta()
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Cron(Trigger):
    """Fires when the clocks of *timezone* show a time of *expression*.

    Attributes:
        gap: a time that the clocks leave out fires at the ``end`` of what they leave out, once for all of them, or is
            skipped (``skip``).
        repeat: a time that the clocks show twice fires the ``first`` time, the ``last``, or ``both``.
    """

    expression: Expression
    timezone: ZoneInfo
    gap: Gap
    repeat: Repeat

    @property
    def text(self) -> str:
        """As the declaration spells it, with what it leaves to the defaults."""
        return f"cron({self.expression.text!r}, {self.timezone.key}, gap={self.gap}, repeat={self.repeat})"

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose clocks it goes by."""
        return self.timezone

    def named(self, name: str) -> Cron:
        """Return the trigger with each ``H`` in its place for the schedule *name*."""
        if not self.expression.hashed:
            return self
        return replace(self, expression=parse(self.expression.text, f"periodic {name!r}", name))

    def firings(self, after: datetime) -> Iterator[Firing]:
        """Yield the times later than *after*, stretch by stretch: within one, the wall clock runs as UTC does."""
        earliest = after + _MICROSECOND
        for stretch in stretches(self.timezone, earliest):
            yield from self._in(stretch, max(earliest, stretch.begin))
            if stretch.change_after > _NOTHING:
                yield from self._in_gap(stretch)

    def _in(self, stretch: Stretch, begin: datetime) -> Iterator[Firing]:
        offset = stretch.offset
        shown_before = _wall(stretch.begin, offset - stretch.change_before)
        shown_again = _wall(stretch.end, offset + stretch.change_after)
        for wall in self.expression.times(_wall(begin, offset), _wall(stretch.end, offset)):
            time = (wall - offset).replace(tzinfo=UTC)
            if wall < shown_before:
                yield self._repeated(time, wall, "last", "second")
            elif wall >= shown_again:
                yield self._repeated(time, wall, "first", "first")
            else:
                yield Firing(time)

    def _repeated(self, time: datetime, wall: datetime, policy: Repeat, which: str) -> Firing:
        fires = self.repeat in {policy, "both"}
        left_out = "" if fires else ", and does not count"
        return Firing(time, fires, f"{wall:%H:%M:%S} comes twice; this is the {which}{left_out}")

    def _in_gap(self, stretch: Stretch) -> Iterator[Firing]:
        """Yield what the clocks leave out at the end of *stretch*; all of it is at that moment."""
        gap_begin = _wall(stretch.end, stretch.offset)
        gap_end = gap_begin + stretch.change_after
        # What fires at the end of the gap by itself, fires there once.
        fired = next(self.expression.times(gap_end, gap_end + _MICROSECOND), None) is not None
        for wall in self.expression.times(gap_begin, gap_end):
            left_out = f"{wall:%H:%M:%S} does not exist"
            if self.gap == "skip":
                yield Firing(stretch.end, False, f"{left_out}: skipped")
            else:
                once = ", where one fires already" if fired else ""
                yield Firing(stretch.end, not fired, f"{left_out}: moved to the end of the gap{once}")
                fired = True


def _wall(moment: datetime, offset: timedelta) -> datetime:
    """Return what clocks that are *offset* from UTC show at *moment*."""
    return moment.replace(tzinfo=None) + offset
