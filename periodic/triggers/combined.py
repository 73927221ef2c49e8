"""Triggers made of others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge

from periodic.errors import TriggerError
from periodic.triggers.trigger import Firing, Trigger

_MICROSECOND = timedelta(microseconds=1)

# So many firings in a row on which others do not agree, and they are taken to agree on none: a second's work.
_PATIENCE = 100_000


@dataclass(frozen=True, slots=True)
class AnyOf(Trigger):
    """Fires when at least one of *triggers* does."""

    triggers: tuple[Trigger, ...]

    @property
    def text(self) -> str:
        """As its parts spell theirs."""
        return f"any of ({', '.join(each.text for each in self.triggers)})"

    def firings(self, after: datetime) -> Iterator[Firing]:
        """Yield each time once."""
        last = after
        for time in merge(*(each.after(after) for each in self.triggers)):
            if time > last:
                last = time
                yield Firing(time)


@dataclass(frozen=True, slots=True)
class AllOf(Trigger):
    """Fires when all of *triggers* do, in the same instant."""

    triggers: tuple[Trigger, ...]

    @property
    def text(self) -> str:
        """As its parts spell theirs."""
        return f"all of ({', '.join(each.text for each in self.triggers)})"

    def firings(self, after: datetime) -> Iterator[Firing]:
        """Yield the times on which all agree.

        Raises:
            TriggerError: they seem to agree on none.
        """
        apart = 0
        sources = [each.after(after) for each in self.triggers]
        times = [next(source, None) for source in sources]
        while present := [time for time in times if time is not None]:
            if len(present) < len(times):
                return
            latest = max(present)
            if min(present) == latest:
                apart = 0
                yield Firing(latest)
                times = [next(source, None) for source in sources]
                continue
            apart += 1
            if apart > _PATIENCE:
                raise TriggerError(f"{self.text} agree on no time between {after.isoformat()} and {latest.isoformat()}")
            times = [
                next(source, None) if time != latest else time for source, time in zip(sources, times, strict=True)
            ]


@dataclass(frozen=True, slots=True)
class Between(Trigger):
    """Fires as *trigger* does, not before *first* and not after *last*; None is no bound."""

    trigger: Trigger
    first: datetime | None
    last: datetime | None

    @property
    def text(self) -> str:
        """As its part spells its own."""
        first, last = (bound.isoformat() if bound else "" for bound in (self.first, self.last))
        return f"{self.trigger.text} from {first or 'ever'} to {last or 'ever'}"

    def firings(self, after: datetime) -> Iterator[Firing]:
        """Yield the times within the bounds."""
        if self.first is not None:
            after = max(after, self.first - _MICROSECOND)
        for firing in self.trigger.firings(after):
            if self.last is not None and firing.time > self.last:
                return
            yield firing
