"""What became of ticks: runs, and records that they were missed, as one history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from middleware import TickRun
from periodic.missed import Missed


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


def history_of(runs: Iterable[TickRun], missed: Iterable[Missed], *, limit: int, after: str) -> History:
    """Return a page of what became of ticks, the newest first.

    Raises:
        ValueError: *after* is no place to go on from.
    """
    place = after.split(",") if after else None
    if place is not None and len(place) != 3:
        raise ValueError(after)
    events = sorted({*map(event_of_run, runs), *map(event_of_missed, missed)}, reverse=True)
    if place is not None:
        before = Event(place[0], place[1], place[2])
        events = [event for event in events if event < before]
    return History(events[:limit], events[limit - 1].cursor if len(events) > limit else "")


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
