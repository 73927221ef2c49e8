"""Counts how attempts end in this process."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from actors.fleet.report import ActorWork
from middleware.ended import Ended

# How far back rates and means look, in seconds.
SOON_S, MINUTE_S = 10.0, 60.0
# So many actors are told of; messages may name any that there are not.
MOST_ACTORS, MOST_COUNTED = 100, 1_000
OTHERS = "(others)"


@dataclass(frozen=True, slots=True)
class Sums:
    """How many attempts of an actor have ended, how many of them have failed, and how long all took."""

    ended: int = 0
    failed: int = 0
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What had been counted at a time, in seconds on whichever clock it was taken by."""

    at_s: float
    outcomes: Mapping[str, int] = field(default_factory=dict)
    actors: Mapping[str, Sums] = field(default_factory=dict)

    @property
    def ended(self) -> int:
        """How many attempts had ended."""
        return sum(self.outcomes.values())

    @property
    def failed(self) -> int:
        """How many of them had failed."""
        return sum(each.failed for each in self.actors.values())


class Tally:
    """Counts attempts from a time on; listens to :class:`middleware.Attempts`.

    Args:
        now_s: the time, in seconds.
    """

    def __init__(self, now_s: float) -> None:
        self._lock = threading.Lock()
        self._outcomes: Counter[str] = Counter()
        self._actors: dict[str, list[float]] = {}
        self._before = deque([Snapshot(now_s)])

    def __call__(self, batch: Sequence[Ended]) -> None:
        """Count all of *batch*."""
        with self._lock:
            actors = self._actors
            for ended in batch:
                # A look through the proxy costs more than all the rest.
                name = ended.message._message.actor_name
                sums = actors.get(name) or self._begin(name)
                sums[0] += 1
                sums[2] += ended.duration_ms
                if ended.error is not None or ended.outcome == "dead":  # is_bad, without a call
                    sums[1] += 1
            self._outcomes.update([ended.outcome for ended in batch])

    def look(self, now_s: float) -> tuple[Snapshot, Snapshot, Snapshot]:
        """Return what is counted at *now_s*, and what was ten seconds and a minute ago, or as far back as it goes."""
        with self._lock:
            actors = {name: Sums(int(ended), int(failed), took) for name, (ended, failed, took) in self._actors.items()}
            now = Snapshot(now_s, dict(self._outcomes), actors)
        before = self._before
        # The first one that is old enough stays, so that there is always one to compare with.
        while len(before) > 1 and before[1].at_s <= now_s - MINUTE_S:
            before.popleft()
        soon = next((each for each in reversed(before) if each.at_s <= now_s - SOON_S), before[0])
        minute = before[0]
        before.append(now)
        return now, soon, minute

    def _begin(self, name: str) -> list[float]:
        if len(self._actors) >= MOST_COUNTED:
            name = OTHERS
        return self._actors.setdefault(name, [0, 0, 0.0])


def per_s(now: Snapshot, before: Snapshot) -> float:
    """Return how many attempts ended a second between the two."""
    return _rate(now.ended - before.ended, now.at_s - before.at_s)


def work_of_actors(now: Snapshot, soon: Snapshot, minute: Snapshot) -> dict[str, ActorWork]:
    """Return what has been done for each actor, those with most attempts first; the first hundred of them."""
    most = sorted(now.actors.items(), key=lambda each: -each[1].ended)[:MOST_ACTORS]
    return {name: _work(sums, now, soon, minute, name) for name, sums in most}


def _work(sums: Sums, now: Snapshot, soon: Snapshot, minute: Snapshot, name: str) -> ActorWork:
    soon_sums, minute_sums = soon.actors.get(name, Sums()), minute.actors.get(name, Sums())
    count = sums.ended - minute_sums.ended
    return ActorWork(
        ended=sums.ended,
        failed=sums.failed,
        per_s=_rate(sums.ended - soon_sums.ended, now.at_s - soon.at_s),
        minute=count,
        mean_ms=round((sums.took_ms - minute_sums.took_ms) / count, 3) if count else 0.0,
    )


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 2) if seconds > 0 else 0.0
