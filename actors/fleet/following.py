"""Follows the events of all processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.fleet.protocol import Fleet, Interest
from actors.fleet.report import Report

Event = Mapping[str, Any]

# How long processes go on publishing when nobody has asked for more, and how often it is asked for; in seconds.
LEASE_S, RENEW_EVERY_S = 10.0, 3.0
# So many events are read at once.
PAGE = 1_000
# Of so many processes it is remembered how far they have come.
_MOST_NUMBERED = 10_000

LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events to show; an empty part lets all through.

    Attributes:
        actors: names of actors.
        queues: names of queues.
        outcomes: outcomes of attempts.
    """

    actors: Collection[str] = ()
    queues: Collection[str] = ()
    outcomes: Collection[str] = ()

    def admits(self, event: Event) -> bool:
        """Return whether to show *event*; that some are left out is always shown."""
        wanted = ((self.actors, "actor"), (self.queues, "queue"), (self.outcomes, "outcome"))
        return event["event"] == LEFT_OUT or all(not each or event.get(field) in each for each, field in wanted)


class Following:
    """What happens from now on, in all processes, for as long as somebody calls :meth:`look`.

    Args:
        fleet: where they tell it.
        clock: returns a time in seconds that does not go back.

    Raises:
        StoreUnavailable: from every call, when the fleet does not answer; the next goes on where the last has ended.
    """

    def __init__(self, fleet: Fleet, clock: Callable[[], float]) -> None:
        self._fleet = fleet
        self._clock = clock
        _, self._cursor = fleet.newest(0)
        self._renew_at_s = clock()
        self._numbers: dict[str, int] = {}

    def look(self) -> Sequence[Event]:
        """Return what has happened since the last call, a thousand events at most; none where there is no more yet."""
        now_s = self._clock()
        if now_s >= self._renew_at_s:
            self._fleet.want(Interest(followed=True), for_ms=int(LEASE_S * 1_000))
            self._renew_at_s = now_s + RENEW_EVERY_S
        found, self._cursor = self._fleet.after(self._cursor, limit=PAGE)
        return list(self._numbered(decoded(found)))

    def publishers(self) -> tuple[int, int]:
        """Return how many processes publish events, and how many there are; of those that are heard of."""
        kept = [(each, _report(each.text)) for each in self._fleet.members()]
        there = [report for each, report in kept if report and each.age_ms <= 2 * report.every_ms]
        return sum(report.is_followed for report in there), len(there)

    def _numbered(self, events: Sequence[Event]) -> Iterator[Event]:
        """Yield *events*, those once that were published twice, and what says how many are missing between them."""
        for event in events:
            member, number = str(event.get("member")), event.get("number")
            if isinstance(number, int):
                last = self._numbers.pop(member, number - 1)
                self._numbers[member] = max(last, number)
                if number <= last:
                    continue
                if number > last + 1:
                    yield {"event": LEFT_OUT, "at": event.get("at"), "member": member, "count": number - last - 1}
            yield event
        while len(self._numbers) > _MOST_NUMBERED:
            del self._numbers[next(iter(self._numbers))]


def decoded(events: Sequence[str]) -> list[Event]:
    """Return *events* as they were before they were published, without those of a release that says something else."""
    found: list[Event] = []
    for text in events:
        try:
            event = json.loads(text)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            found.append(event)
    return found


def _report(text: str) -> Report | None:
    try:
        return Report.decode(text)
    except ValueError:
        return None
