"""What a scheduler tells of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class Role(StrEnum):
    """What a replica does just now."""

    CONNECTING = "connecting"
    STANDING_BY = "standing by"
    LEADING = "leading"
    REFUSING = "refusing"


@dataclass(slots=True)
class Status:
    """What a scheduler tells of itself; it is written by the thread that runs it, and may be read by any.

    Attributes:
        replica: its name.
        role: what it does just now.
        since: since when, in UTC.
        problem: why it has no connection, or refuses to lead; empty where nothing is wrong.
        looped_at: when its loop last came round, in UTC; an old one means that it hangs.
        lateness: how late the newest tick was enqueued, after it was due.
        enqueued: ticks since the process started.
        missed: records of missed ticks since the process started.
        failing: why the newest tick of a schedule can't be enqueued, by the schedule's name.
    """

    replica: str
    role: Role = Role.CONNECTING
    since: datetime | None = None
    problem: str = ""
    looped_at: datetime | None = None
    lateness: timedelta = timedelta()
    enqueued: int = 0
    missed: int = 0
    failing: dict[str, str] = field(default_factory=dict)

    def enter(self, role: Role, now: datetime, problem: str = "") -> None:
        """Note that *role* begins."""
        self.role, self.since, self.problem = role, now, problem
