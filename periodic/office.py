"""The leader's office: it answers what only a leader knows, and makes the changes that only a leader may make."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from periodic.changes import PAUSED_AT, PAUSED_BY, Case, Refused, answered, change
from periodic.inquiry import CHANGES, Inquiry
from periodic.leader import Leader
from periodic.protocol import Ledger
from periodic.roster import Entry, Roster
from periodic.run_time import definitions
from periodic.schedule import Schedule
from periodic.status import Status
from periodic.suggestion import did_you_mean
from periodic.takeover import Replica
from periodic.tick import Tick

log = logging.getLogger(__name__)

MOST_ROWS = 1_000

_NOT_SHOWN = ("name", "actor", "trigger", "args", "kwargs")


class LeadersOffice:
    """Answers for one term.

    A change is written into the roster before it is answered; then the term is over, and the same replica begins
    another with what is in the ledger, as a new leader would.

    Args:
        ledger: of the term.
        replica: who leads, with all schedules that it knows.
        leader: of the term.
        status: of the replica.
        clock: what time it is.

    Attributes:
        is_over: whether a change has ended the term.
    """

    def __init__(
        self,
        ledger: Ledger[Any],
        replica: Replica,
        leader: Leader[Any],
        status: Status,
        clock: Callable[[], datetime],
    ) -> None:
        self.is_over = False
        self._ledger = ledger
        self._replica = replica
        self._leader = leader
        self._status = status
        self._clock = clock

    def answer(self, inquiry: Inquiry) -> Mapping[str, Any]:
        """Return ``answer``, or ``refused`` with the reason.

        Raises:
            Exception: the term is over, and nobody knows what has been done; another leader will.
        """
        try:
            if inquiry.action in CHANGES:
                return {"answer": {"text": self._change(inquiry)}}
            if inquiry.action == "list":
                return {"answer": self._list(inquiry)}
            if inquiry.action == "show":
                return {"answer": self._show(inquiry)}
            raise Refused(f"{self._replica.name} knows no {inquiry.action!r}; it is of another version")
        except Refused as refused:
            return {"refused": str(refused)}
        except (TypeError, ValueError) as error:
            return {"refused": f"{inquiry.action}: {error}"}

    def _change(self, inquiry: Inquiry) -> str:
        roster = self._ledger.roster
        before = answered(roster, inquiry)
        if before is not None:
            return before
        made = change(Case(inquiry, roster, self._ledger.watermark, self._replica, self._clock()))
        if made.watermark is not None:
            # Before the roster, which says that it is done.
            self._ledger.write_watermark(made.watermark)
        self._ledger.write_roster(made.roster)
        for missed in made.missed:
            self._ledger.record(missed)
        self._status.fires.missed["pause"] += len(made.missed)
        self.is_over = True
        log.info("%s, as %s asks: %s", self._replica.name, inquiry.by or "somebody", made.text)
        return made.text

    def _list(self, inquiry: Inquiry) -> dict[str, Any]:
        after, limit = str(inquiry.fields.get("after", "")), int(inquiry.fields.get("limit", 100))
        limit = max(1, min(MOST_ROWS, limit))
        names = sorted({*self._ledger.roster.entries, *self._replica.schedules})
        page = list(islice((name for name in names if name > after), limit + 1))
        return {
            "schedules": [self._row(name) for name in page[:limit]],
            "next": page[limit - 1] if len(page) > limit else None,
            "total": len(names),
            "watermark": self._ledger.watermark.mark.due.isoformat(),
        }

    def _show(self, inquiry: Inquiry) -> dict[str, Any]:
        name = str(inquiry.fields.get("schedule", ""))
        known = {*self._ledger.roster.entries, *self._replica.schedules}
        if name not in known:
            raise Refused(f"no schedule is called {name!r}{did_you_mean(name, known)}")
        return {**self._row(name), "definition": definitions(self._ledger.roster).get(name)}

    def _row(self, name: str) -> dict[str, Any]:
        return row(
            name,
            self._replica.schedules.get(name),
            self._ledger.roster,
            self._leader.next_tick(name),
            failing=self._status.failing.get(name, ""),
        )


def row(
    name: str, schedule: Schedule | None, roster: Roster, tick: Tick | None, *, failing: str = ""
) -> dict[str, Any]:
    """Return what is told of a schedule, in JSON's types.

    Args:
        name: what it is called.
        schedule: None if the code does not know it.
        roster: as it is.
        tick: its next tick, if it has one.
        failing: why that can't be enqueued.
    """
    entry = roster.entries.get(name)
    told: dict[str, Any] = {
        "schedule": name,
        "actor": None if schedule is None else schedule.actor,
        "when": "" if schedule is None else schedule.trigger.text,
        "timezone": None if schedule is None else str(schedule.trigger.zone),
        "next": None if tick is None else tick.time.isoformat(),
        "due": None if tick is None else tick.due.isoformat(),
        "paused": entry is not None and entry.paused,
        "paused_at": None,
        "paused_by": None,
        "failing": failing,
        "added": name in definitions(roster),
        "in_code": schedule is not None,
        "options": {} if schedule is None else _options(schedule),
    }
    return told if entry is None else told | _known(entry)


def _known(entry: Entry) -> dict[str, Any]:
    return {
        "since": entry.since.isoformat(),
        "paused_at": entry.more.get(PAUSED_AT) if entry.paused else None,
        "paused_by": entry.more.get(PAUSED_BY) if entry.paused else None,
        "gone_at": None if entry.gone_at is None else entry.gone_at.isoformat(),
    }


def _options(schedule: Schedule) -> dict[str, Any]:
    options = {each.name: getattr(schedule, each.name) for each in fields(schedule) if each.name not in _NOT_SHOWN}
    return {name: _value(value) for name, value in options.items() if value is not None}


def _value(value: object) -> object:
    if isinstance(value, timedelta):
        return value // timedelta(milliseconds=1)
    return value.isoformat() if isinstance(value, datetime) else value
