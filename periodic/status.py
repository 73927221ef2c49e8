"""What a scheduler tells of itself."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from periodic.fires import Fires

# How long the loop may take to come round, in seconds. To connect has limits of its own, one for each address of each
# node; this is beyond them all.
TURN_WITHIN_S, CONNECT_WITHIN_S = 30.0, 300.0


class Role(StrEnum):
    """What a replica does just now."""

    CONNECTING = "connecting"
    STANDING_BY = "standing by"
    LEADING = "leading"
    REFUSING = "refusing"


@dataclass(frozen=True, slots=True)
class Unconsumed:
    """A queue into which schedules enqueue, and that nobody takes from.

    Attributes:
        queue: what actors call it.
        since_s: since when, in seconds as ``time.monotonic`` counts them.
        schedules: the names of those schedules.
    """

    queue: str
    since_s: float
    schedules: tuple[str, ...]


@dataclass(slots=True)
class Status:
    """What a scheduler tells of itself; it is written by the thread that runs it, and may be read by any.

    Attributes:
        replica: its name.
        role: what it does just now.
        since: since when, in UTC.
        problem: why it has no connection, or refuses to lead; empty where nothing is wrong.
        looped_at: when its loop last came round, in UTC; an old one means that it hangs.
        overdue_at_s: by when its loop has to come round again, in seconds as ``time.monotonic`` counts them: a clock
            that is set has no part in it.
        blocked: why RabbitMQ takes nothing from this connection, such as ``low on memory``; empty if it does.
        skew: how far its clock is ahead of RabbitMQ's, negative if it is behind; None if that is not known.
        unconsumed: scheduled queues without a consumer, by the names that RabbitMQ has for them; the leader's.
        lateness: how late the newest tick was enqueued, after it was due.
        fires: what became of ticks since the process started.
        began: how often each role began since then.
        failing: why the newest tick of a schedule can't be enqueued, by the schedule's name.
        file: the SQLite file that it uses; empty if it uses RabbitMQ.
    """

    replica: str
    role: Role = Role.CONNECTING
    since: datetime | None = None
    problem: str = ""
    looped_at: datetime | None = None
    overdue_at_s: float = field(default_factory=lambda: time.monotonic() + CONNECT_WITHIN_S)
    blocked: str = ""
    skew: timedelta | None = None
    unconsumed: Mapping[str, Unconsumed] = field(default_factory=dict)
    lateness: timedelta = timedelta()
    fires: Fires = field(default_factory=Fires)
    began: Counter[Role] = field(default_factory=Counter)
    failing: dict[str, str] = field(default_factory=dict)
    file: str = ""

    @property
    def enqueued(self) -> int:
        """Ticks since the process started."""
        return self.fires.enqueued

    @property
    def missed(self) -> int:
        """Records of missed ticks since the process started."""
        return self.fires.missed.total()

    def enter(self, role: Role, now: datetime, problem: str = "") -> None:
        """Note that *role* begins."""
        if role is not self.role:
            self.began[role] += 1
        self.role, self.since, self.problem = role, now, problem
        self.turn(now)
        if role is not Role.LEADING:
            self.unconsumed = {}
        if role is Role.CONNECTING:
            self.blocked, self.skew = "", None

    def turn(self, now: datetime) -> None:
        """Note that the loop comes round, and by when it has to come round again."""
        within_s = CONNECT_WITHIN_S if self.role is Role.CONNECTING else TURN_WITHIN_S
        self.looped_at, self.overdue_at_s = now, time.monotonic() + within_s
