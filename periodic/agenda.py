"""What is due next, among the ticks of all schedules."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from periodic.position import Position, ticks_behind
from periodic.schedule import Schedule
from periodic.tick import Tick

# How far it is quicker to go from tick to tick than to ask a trigger anew.
_NEAR = timedelta(minutes=1)


@dataclass(slots=True)
class Upcoming:
    """The ticks of one schedule that are still to come.

    Attributes:
        schedule: whose they are.
        position: behind which they are.
    """

    schedule: Schedule
    position: Position
    _kept: deque[Tick] = field(default_factory=deque)
    _ahead: deque[Tick] = field(default_factory=deque)
    _rest: Iterator[Tick] | None = None

    @property
    def tick(self) -> Tick | None:
        """The next one; None if there is none any more.

        Raises:
            Exception: whatever a trigger raises; the next call asks it again.
        """
        if self._kept:
            return self._kept[0]
        if not self._ahead:
            if self._rest is None:
                self._rest = ticks_behind(self.schedule, self.position)
            try:
                self._ahead.extend(filter(None, [next(self._rest, None)]))
            except Exception:
                # A generator that has raised is over.
                self._rest = None
                raise
        return self._ahead[0] if self._ahead else None

    @property
    def is_kept(self) -> bool:
        """Whether it is settled that the next one is enqueued, however late it is."""
        return bool(self._kept)

    def passed(self, tick: Tick) -> None:
        """Note that *tick*, the next one, is out."""
        (self._kept or self._ahead).popleft()
        self.position = Position.of(tick)

    def forward(self, position: Position) -> None:
        """Let the next one be the first behind *position*, which is not before its own; none is kept.

        Its own position stays that of a tick, so that it may be moved to another one between this tick and the next.

        Raises:
            Exception: whatever a trigger raises; then it is somewhere between the two.
        """
        while (tick := self.tick) is not None and tick.due <= position.due and Position.of(tick) <= position:
            if position.due - tick.due > _NEAR:
                self.keep((), position)
            else:
                self.passed(tick)

    def keep(self, ticks: Sequence[Tick], resume: Position) -> None:
        """Let *ticks* be the next ones, and then those behind *resume*."""
        self._kept.extend(ticks)
        self._ahead.clear()
        self._rest = ticks_behind(self.schedule, resume)
        if not ticks:
            self.position = resume


class Agenda:
    """A heap of the names of schedules, by when their turn is; each is in it at most once."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, str]] = []

    def push(self, when: datetime, schedule: str) -> None:
        """Give *schedule*, which is not in it, its turn at *when*."""
        heapq.heappush(self._heap, (when, schedule))

    def pop(self) -> str:
        """Return the schedule whose turn is next, and take it out."""
        return heapq.heappop(self._heap)[1]

    @property
    def when(self) -> datetime | None:
        """When the next turn is; None if there is none."""
        return self._heap[0][0] if self._heap else None
