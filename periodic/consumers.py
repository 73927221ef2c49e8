"""Whether anybody takes what schedules enqueue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from periodic.schedule import Schedule
from periodic.status import Status, Unconsumed

# How often each queue is looked at, in seconds; and for how long at a time, since ticks wait meanwhile.
LOOK_EVERY_S, LOOK_FOR_S = 10.0, 0.01


class Named(Protocol):
    """A queue, wherever it is."""

    @property
    def name(self) -> str:
        """What it is called there."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the messages of a schedule go.

    Attributes:
        name: what actors call it.
        queue: the same, as it is where it is kept.
    """

    name: str
    queue: Named


class Consumers:
    """Looks for queues without a consumer, and notes them in *status*.

    Args:
        is_consumed: says whether the queue with this name has a consumer; one that does not exist has none.
        destination: says where the messages of a schedule go.
        status: has what was found before, by this or by an earlier look.

    Raises:
        Exception: from every method, whatever *is_consumed* raises.
    """

    def __init__(
        self, is_consumed: Callable[[str], bool], destination: Callable[[Schedule], Destination], status: Status
    ) -> None:
        self._is_consumed = is_consumed
        self._destination = destination
        self._status = status
        self._left: list[tuple[Destination, tuple[str, ...]]] = []
        self._began_at = float("-inf")

    def look(self, schedules: Callable[[], Iterable[Schedule]]) -> None:
        """Look at some of the queues of *schedules*, if it is time to."""
        began = time.monotonic()
        if not self._left and began - self._began_at >= LOOK_EVERY_S:
            self._began_at = began
            self._left = self._destinations(schedules())
            wanted = {each.queue.name for each, _ in self._left}
            self._note({name: each for name, each in self._status.unconsumed.items() if name in wanted})
        while self._left and time.monotonic() - began < LOOK_FOR_S:
            self._look_at(*self._left.pop())

    def _destinations(self, schedules: Iterable[Schedule]) -> list[tuple[Destination, tuple[str, ...]]]:
        found: dict[str, tuple[Destination, list[str]]] = {}
        # There may be ten thousand schedules, of few actors.
        names: dict[tuple[str, str | None], list[str]] = {}
        for schedule in schedules:
            key = schedule.actor, schedule.queue
            if key not in names:
                destination = self._destination(schedule)
                names[key] = found.setdefault(destination.name, (destination, []))[1]
            names[key].append(schedule.name)
        return [(destination, tuple(names)) for destination, names in found.values()]

    def _look_at(self, destination: Destination, names: tuple[str, ...]) -> None:
        queue, others = destination.queue.name, dict(self._status.unconsumed)
        before = others.pop(queue, None)
        if self._is_consumed(queue):
            self._note(others)
        else:
            since_s = time.monotonic() if before is None else before.since_s
            self._note({**others, queue: Unconsumed(destination.name, since_s, names)})

    def _note(self, unconsumed: Mapping[str, Unconsumed]) -> None:
        # Another one, never a change of the same: another thread may go through it.
        self._status.unconsumed = unconsumed
