"""Records of what became of ticks, as bounded queues keep them: they are looked at, and stay there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from actors.brokers.admin import Admin
from actors.brokers.hold import Held
from actors.brokers.peek import Peek
from actors.brokers.topology import MOST_MISSED, MOST_RUNS, Topology
from middleware import TickRun
from periodic.missed import Missed
from periodic.pace import Pace
from periodic.queues import Queue

# Somebody else who looks into a queue has all of it in hand for a moment, in seconds.
_LOOK_AGAIN_AFTER_S = 0.3


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """What became of a tick: a run, or a record that it was missed.

    Attributes:
        at: when it ended, or for a missed one its time; ISO 8601 in UTC.
        tick: its nominal time, as ISO 8601.
        outcome: ``done``, ``failed``, ``skipped`` or ``missed``.
        fields: what else there is to tell, in JSON's types.
    """

    at: str
    tick: str
    outcome: str
    fields: Mapping[str, Any] = field(compare=False, default_factory=dict)

    @property
    def cursor(self) -> str:
        """Where it stands."""
        return f"{self.at},{self.tick},{self.outcome}"


@dataclass(frozen=True, slots=True)
class History:
    """What became of ticks of one schedule, the newest first; *following* is for the next page, or empty."""

    events: Sequence[Event]
    following: str


class TickRecords:
    """The newest records that there are.

    Args:
        admin: its connection.
        topology: names the queues.

    Raises:
        ConnectionFailed: from every method, when RabbitMQ does not answer in time.
        AccessRefused: from every method, when the user has no right to read the queues.
    """

    def __init__(self, admin: Admin, topology: Topology) -> None:
        self._admin = admin
        self._topology = topology

    def runs(self, names: set[str]) -> list[TickRun]:
        """Return the runs of schedules with *names*."""
        queues = [self._topology.runs(pace) for pace in Pace]
        found = []
        for held in _look_into(self._admin, queues, MOST_RUNS):
            try:
                run = TickRun.decode(held.body)
            except ValueError:
                continue
            if run.schedule in names:
                found.append(run)
        return found

    def missed(self, names: set[str]) -> list[Missed]:
        """Return the records of missed ticks of schedules with *names*."""
        found = []
        for held in _look_into(self._admin, [self._topology.periodic().missed], MOST_MISSED):
            try:
                missed = Missed.decode(held.body)
            except ValueError:
                continue
            if missed.schedule in names:
                found.append(missed)
        return found


def look(admin: Admin, queue: Queue, limit: int) -> list[Held]:
    """Return the messages of *queue*, oldest first; they stay there."""
    admin.restart_clock()
    depth = admin.depth(queue)
    seen: list[Held] = []
    if depth is not None and depth.messages:
        with Peek(admin, queue, limit, seen.append):
            pass
    return seen


def _look_into(admin: Admin, queues: Sequence[Queue], limit: int) -> list[Held]:
    found = [held for queue in queues for held in look(admin, queue, limit)]
    if not found:
        again = time.monotonic() + _LOOK_AGAIN_AFTER_S
        admin.restart_clock()
        admin.pump_until(lambda: time.monotonic() >= again)
        found = [held for queue in queues for held in look(admin, queue, limit)]
    return found


def newest(records: Sequence[Any], key: Callable[[Any], tuple[str, float]]) -> dict[str, Any]:
    """Return the newest of *records* of each schedule; *key* says whose a record is, and of when."""
    return {key(each)[0]: each for each in sorted(records, key=lambda each: key(each)[1])}


def event_of_run(run: TickRun) -> Event:
    """Return *run* as an event."""
    ended = datetime.fromtimestamp(run.ended / 1000, UTC).isoformat(timespec="milliseconds")
    return Event(ended, run.time, run.outcome, run_as_json(run) or {})


def event_of_missed(missed: Missed) -> Event:
    """Return *missed* as an event."""
    last = missed.until or missed.time
    at = last.astimezone(UTC).isoformat(timespec="milliseconds")
    return Event(at, missed.time.isoformat(), "missed", missed_as_json(missed) or {})


def run_as_json(run: TickRun | None) -> dict[str, Any] | None:
    """Return *run* in JSON's types, times as ISO 8601."""
    if run is None:
        return None
    times = {name: _iso(value) for name, value in (("started", run.started), ("ended", run.ended))}
    return asdict(run) | times


def missed_as_json(missed: Missed | None) -> dict[str, Any] | None:
    """Return *missed* in JSON's types, times as ISO 8601."""
    if missed is None:
        return None
    until = None if missed.until is None else missed.until.isoformat()
    return {"time": missed.time.isoformat(), "until": until, "reason": missed.reason}


def _iso(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
