"""What every trigger can do: say when it fires, as a function of nothing but the moment from which it is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo


@dataclass(frozen=True, slots=True)
class Firing:
    """A time that a trigger names.

    Attributes:
        time: in UTC.
        fires: False where the change of a clock made the trigger name it, and its policy leaves it out.
        note: what the change of a clock did to it, or an empty string.
    """

    time: datetime
    fires: bool = True
    note: str = ""


class Trigger(ABC):
    """When a schedule fires.

    It has no state and no start of its own: replicas that are asked about the same moment give the same answer.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def text(self) -> str:
        """All that decides when it fires, as its declaration spells it."""

    @property
    def zone(self) -> tzinfo:
        """The zone whose clocks it goes by."""
        return UTC

    @abstractmethod
    def firings(self, after: datetime) -> Iterator[Firing]:
        """Yield the times later than *after*, which is in UTC, in their order; also those it leaves out."""

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Yield the times, in UTC, at which it fires later than *moment*; each once, in their order."""
        return (firing.time for firing in self.firings(moment) if firing.fires)

    def named(self, name: str) -> Trigger:
        """Return the trigger of the schedule *name*; another one only where the name decides when it fires."""
        return self
