"""Looks again and again, at no more cost than a look each second is worth."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from actors.assembly import fleet
from actors.fleet.deployment import Deployment, Problem, Worker
from actors.fleet.lookout import Lookout
from actors.fleet.protocol import Interest

T = TypeVar("T")

# How long workers go on telling of themselves each second when nobody has asked for more, in seconds.
LEASE_S = 5.0
# How often schedulers are looked at, at most, in seconds: the leader answers between two ticks.
SCHEDULERS_EVERY_S = 5.0
# What takes a tenth of a second to look at is looked at every second, and what takes longer more seldom.
_SHARE = 10


class Watching:
    """Looks at workers at every call, and at queues and schedulers as often as that costs a tenth of its time.

    Args:
        timeout_s: how long RabbitMQ may take for each part, in seconds.
        clock: returns a time in seconds that does not go back.
    """

    def __init__(self, timeout_s: float, clock: Callable[[], float]) -> None:
        self._lookout = Lookout(timeout_s)
        self._workers: Sequence[Worker] = ()
        self._queues = _Part(lambda: self._lookout.queues(self._workers), clock, every_s=0.0)
        self._schedulers = _Part(self._lookout.schedulers, clock, every_s=SCHEDULERS_EVERY_S)

    def look(self) -> Deployment:
        """Return what there is now, and ask workers to go on telling of themselves each second."""
        problems: list[Problem] = []
        workers = self._lookout.attempt(self._watch, problems)
        self._workers = workers or ()
        queues = self._queues.look(self._lookout, problems)
        schedulers = None if queues is None else self._schedulers.look(self._lookout, problems)
        judged = self._lookout.judge(workers, queues)
        return Deployment(
            time.time_ns() // 1_000_000, workers, queues, schedulers=schedulers, problems=[*problems, *judged]
        )

    def _watch(self) -> Sequence[Worker]:
        workers = self._lookout.workers()
        if workers:
            fleet().want(Interest(watched=True), for_ms=int(LEASE_S * 1_000))
        return workers


class _Part(Generic[T]):
    """What is looked at now and then, and shown as it was in between."""

    def __init__(self, look: Callable[[], T], clock: Callable[[], float], *, every_s: float) -> None:
        self._look = look
        self._clock = clock
        self._every_s = every_s
        self._due_s = float("-inf")
        self._found: T | None = None
        self._problems: list[Problem] = []

    def look(self, lookout: Lookout, problems: list[Problem]) -> T | None:
        began_s = self._clock()
        if began_s >= self._due_s:
            self._problems = []
            self._found = lookout.attempt(self._look, self._problems)
            ended_s = self._clock()
            self._due_s = ended_s + max(self._every_s, _SHARE * (ended_s - began_s))
        problems += self._problems
        return self._found
