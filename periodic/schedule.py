"""A schedule: an actor, a trigger that says when it runs, and how its ticks are enqueued."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import repeat, tee, zip_longest
from typing import Any

from periodic.options import Overlap
from periodic.tick import Tick
from periodic.triggers.trigger import Trigger

_MICROSECOND = timedelta(microseconds=1)
_NOTHING = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule of an actor; see :class:`~periodic.options.ScheduleOptions` for what its options mean.

    Attributes:
        name: what it is called; no two schedules share one.
        actor: the name of the actor that its ticks run.
        trigger: says at which times.
        args, kwargs: as JSON has them.
        queue: None for the actor's.
        priority: None for none.
        start, end: in UTC; None for no bound.
    """

    name: str
    actor: str
    trigger: Trigger
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: str | None = None
    priority: int | None = None
    jitter: timedelta = _NOTHING
    catch_up: timedelta = timedelta(seconds=60)
    coalesce: bool = True
    cap: int = 100
    overlap: Overlap = "allow"
    start: datetime | None = None
    end: datetime | None = None

    def ticks_after(self, moment: datetime) -> Iterator[Tick]:
        """Yield the ticks that are due later than *moment*, by when they are due.

        They are the same on every replica, whatever *moment* each of them starts from.

        Raises:
            ValueError: *moment* has no time zone.
            TriggerError: a trigger of somebody else's gave an answer that can't be one.
        """
        if moment.utcoffset() is None:
            raise ValueError(f"schedule {self.name!r}: {moment.isoformat()} has no time zone")
        moment = moment.astimezone(UTC)
        # A tick that is due later may have a time that is not.
        earliest = moment - self.jitter
        if self.start is not None:
            earliest = max(earliest, self.start - _MICROSECOND)
        for time, following in self._times_after(earliest):
            if self.end is not None and time >= self.end:
                return
            due = time + self._lateness(time, following)
            if due > moment:
                yield Tick(self.name, time, due)

    def _times_after(self, moment: datetime) -> Iterator[tuple[datetime, datetime | None]]:
        """Yield each time and, for jitter alone, the one that follows it: a leap day's is not near."""
        times = self.trigger.after(moment)
        if not self.jitter:
            return zip(times, repeat(None), strict=False)
        one, ahead = tee(times)
        next(ahead, None)
        return zip_longest(one, ahead)

    def _lateness(self, time: datetime, following: datetime | None) -> timedelta:
        """Return by how much the tick of *time* is published later, and still before that of *following*."""
        if not self.jitter:
            return _NOTHING
        room = self.jitter if following is None else min(self.jitter, following - time)
        share = blake2b(f"{self.name}\n{time.isoformat()}".encode(), digest_size=8).digest()
        return timedelta(microseconds=int.from_bytes(share) % (room // _MICROSECOND))

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits of all that decides when it enqueues a message, and which."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        text = json.dumps(own | {"trigger": self.trigger.text}, sort_keys=True, default=str)
        return blake2b(text.encode(), digest_size=16).hexdigest()
