"""A place that keeps a ledger, and what it takes to lead there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from periodic.missed import Missed
from periodic.position import Position
from periodic.protocol import Ledger
from periodic.roster import Roster
from periodic.schedule import Schedule
from periodic.takeover import Replica
from periodic.tick import Tick
from periodic.watermark import Watermark


@dataclass(frozen=True)
class Begun:
    """A term that has begun.

    Attributes:
        ledger, positions, replica: what a leader needs.
        flush: returns once all that the ledger was told is durable.
        die: ends it as SIGKILL would, without a farewell.
        again: returns the next term of the same process.
    """

    ledger: Ledger[Any]
    positions: Mapping[str, Position]
    replica: Replica
    flush: Callable[[], None]
    die: Callable[[], None]
    again: Callable[[datetime], Begun]


class Subject(Protocol):
    """A place that keeps a ledger."""

    def begin(self, replica: Replica, now: datetime) -> Begun:
        """Lead; nobody else does, or lives."""

    def depose(self, begun: Begun) -> None:
        """Let another lead from now on, while the one that did knows nothing of it."""

    def publication(self, schedule: Schedule, tick: Tick) -> Any:
        """Return the message of *tick*."""

    def full(self, schedule: str) -> AbstractContextManager[None]:
        """Refuse the messages of *schedule* for the block."""

    def read(self) -> tuple[Roster | None, Watermark | None]:
        """Return what is kept; nobody leads."""

    def jobs(self) -> list[str]:
        """Return the ids of all messages that are enqueued."""

    def missed(self) -> int:
        """Return how many records of missed ticks there are."""

    def oldest_missed(self, limit: int) -> list[Missed]:
        """Return the oldest records of missed ticks."""

    def close(self) -> None:
        """Leave nothing behind."""
