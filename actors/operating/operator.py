"""Schedules as operators see them: what runs next, what ran last, who leads; and an operator's word on them.

What a scheduler knows, the one that leads is asked for. How ticks ended is in bounded records, which are looked at and
left as they are. Nothing is remembered here.
"""

from __future__ import annotations

import os
import pwd
import socket
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dramatiq

from actors.errors import ActorsError
from actors.operating.events import History, history_of, missed_as_json, newest, run_as_json
from actors.operating.view import Heard, View
from periodic.errors import PeriodicError
from periodic.inquiry import STATUS, Inquiry
from periodic.office import row
from periodic.registry import schedules
from periodic.roster import Roster
from periodic.run_time import with_run_time_schedules
from periodic.status import Role
from periodic.takeover import FURTHEST_AHEAD, Replica
from periodic.watermark import Watermark

LEADING = Role.LEADING.value
DONE = "done"
NONE_CONNECTED = "no scheduler leads, since none is connected; start one: python -m periodic shop.tasks"


class NoLeader(ActorsError):
    """No scheduler leads, or the one that does is silent."""


class ChangeRefused(ActorsError):
    """The scheduler that leads does not make a change."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the schedules.

    Attributes:
        schedules: what is told of each, by name; see :func:`periodic.office.row`. With ``last``, its newest
            :class:`~middleware.TickRun`, and ``last_missed``, both None where there is none.
        following: what to give as *after* for the next page; empty if there is none.
        leader: who has said so; empty if none leads, and this is what the code here and the roster say.
        silent: how many schedulers are connected and silent.
    """

    schedules: Sequence[Mapping[str, Any]]
    following: str
    leader: str
    silent: int


@dataclass(frozen=True, slots=True)
class Overview:
    """What there is to know of schedules and schedulers at a glance, for numbers.

    Attributes:
        next: when the next tick of a schedule is due, by the schedule's name; None where it has none, or is paused.
        succeeded: when a run of it last succeeded, of those of which there is a record.
        left_out: how many more schedules there are.
        roles: how many schedulers have each role.
        silent: how many more are connected and silent.
    """

    next: Mapping[str, datetime | None]
    succeeded: Mapping[str, datetime]
    left_out: int
    roles: Mapping[str, int]
    silent: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Who leads, who stands by, and where the watermark stands.

    Attributes:
        replicas: what each scheduler tells of itself, the leader first; see :func:`periodic.desk.as_json`.
        silent: how many more are connected and silent.
        watermark: up to when ticks are enqueued; None if it is not known.
        problem: why none leads, or can do anything, as far as can be seen from here; empty if one does.
    """

    replicas: Sequence[Mapping[str, Any]]
    silent: int
    watermark: datetime | None
    problem: str


class Operator:
    """Looks, and gives orders.

    Args:
        broker: whose actors' schedules are known here.
        view: called for a look at the schedulers, which lasts for one call.

    Raises:
        BrokerConnectionError: from every method, when what they work with does not answer.
        AccessRefused: from every method, when the user has no right to it.
    """

    def __init__(self, broker: dramatiq.Broker, view: Callable[[], AbstractContextManager[View]]) -> None:
        self._broker = broker
        self._view = view

    def standing(self) -> Standing:
        """Return who leads, who stands by, and what is wrong."""
        with self._view() as view:
            heard = view.ask(_inquiry(STATUS))
            replicas = sorted((reply.status for reply in heard.replies), key=lambda each: each.get("role") != LEADING)
            if view.problem:
                # It would read no other question, and it keeps the leader waiting, too.
                return Standing(replicas, heard.silent, None, view.problem)
            if replicas and replicas[0].get("role") == LEADING:
                page = view.ask(_inquiry("list", limit=1)).leaders
                mark = page.answer.get("watermark") if page is not None and page.answer is not None else None
                return Standing(replicas, heard.silent, _moment(mark), "")
            mark_at = _mark(view)
        return Standing(replicas, heard.silent, mark_at, _why_none_leads(heard, mark_at))

    def has_schedules(self) -> bool:
        """Return whether the code that is loaded here, or the roster, has any schedule.

        Raises:
            NoLeader: what is kept for schedulers can't be read.
        """
        with self._view() as view:
            roster = _kept(view)[0] or Roster()
        return bool(schedules(self._broker)) or any(each.gone_at is None for each in roster.entries.values())

    def page(self, *, after: str = "", limit: int = 100) -> Page:
        """Return *limit* schedules at most, those whose names come after *after*.

        Where none leads, it is what the code that is loaded here and the roster say.
        """
        with self._view() as view:
            heard = view.ask(_inquiry("list", after=after, limit=limit))
            said = heard.leaders
            if said is not None and said.answer is not None:
                rows, following = said.answer.get("schedules", []), said.answer.get("next") or ""
                leader = str(said.status.get("replica"))
            else:
                rows, following, _ = self._known_here(view, after, limit)
                leader = ""
            names = {each["schedule"] for each in rows}
            last = newest(view.runs(names), lambda run: (run.schedule, run.ended))
            missed = newest(view.missed(names), lambda each: (each.schedule, each.time.timestamp()))
        told = [
            {
                **each,
                "last": run_as_json(last.get(each["schedule"])),
                "last_missed": missed_as_json(missed.get(each["schedule"])),
            }
            for each in rows
        ]
        return Page(told, following, leader, heard.silent)

    def overview(self, *, limit: int) -> Overview:
        """Return what there is to know of the first *limit* schedules by name, and of all schedulers."""
        with self._view() as view:
            heard = view.ask(_inquiry("list", limit=limit))
            said = heard.leaders
            if said is not None and said.answer is not None:
                rows = said.answer.get("schedules", [])
                # A leader of an earlier version does not say how many there are.
                total = said.answer.get("total") or len(rows) + bool(said.answer.get("next"))
            else:
                rows, _, total = self._known_here(view, "", limit)
            runs = view.runs({each["schedule"] for each in rows})
        ends = newest([run for run in runs if run.outcome == DONE], lambda run: (run.schedule, run.ended))
        # Of a file, the leader is heard twice.
        roles = {str(reply.status.get("replica")): str(reply.status.get("role")) for reply in heard.replies}
        return Overview(
            next={each["schedule"]: _moment(each.get("due")) for each in rows},
            succeeded={name: datetime.fromtimestamp(run.ended / 1000, UTC) for name, run in ends.items()},
            left_out=total - len(rows),
            roles=Counter(roles.values()),
            silent=heard.silent,
        )

    def show(self, name: str) -> Mapping[str, Any]:
        """Return what the leader tells of the schedule *name*, with its ``definition`` if an operator has made it.

        Raises:
            NoLeader: there is none to ask.
            ChangeRefused: it knows no such schedule.
        """
        return self._told("show", schedule=name)

    def change(self, action: str, **fields: Any) -> str:
        """Have the leader make a change; return what it says.

        Raises:
            NoLeader: there is none to do it, and nothing is changed, or it has not said so in time.
            ChangeRefused: it does not.
        """
        return str(self._told(action, **fields).get("text", ""))

    def reset_watermark(self, to: datetime | None, *, force: bool) -> str:
        """Have the ticks of all schedules count from *to* on, or from now; return what was done.

        A leader does it; where none leads, this process does, in its place.

        Raises:
            NoLeader: the one there is has not said so in time.
            ChangeRefused: the watermark is sane, and *force* is not given.
        """
        with self._view() as view:
            heard = view.ask(_inquiry(STATUS))
            if any(reply.status.get("role") == LEADING for reply in heard.replies):
                fields = {} if to is None else {"to": to.isoformat()}
                return self.change("reset-watermark", force=force, **fields)
            now = datetime.now(UTC)
            try:
                return view.reset_watermark(to or now, now, force=force)
            except (PeriodicError, ValueError) as refused:
                raise ChangeRefused(str(refused)) from None

    def history(self, name: str, *, limit: int = 50, after: str = "") -> History:
        """Return what became of ticks of the schedule *name*, the newest first, as far back as records are kept.

        Raises:
            ValueError: *after* is no place to go on from.
        """
        with self._view() as view:
            return history_of(view.runs({name}), view.missed({name}), limit=limit, after=after)

    def _told(self, action: str, **fields: Any) -> Mapping[str, Any]:
        with self._view() as view:
            heard = view.tell(_inquiry(action, **fields))
            said = heard.leaders
            if said is None:
                raise NoLeader(_why_none_leads(heard, _mark(view)))
        if said.refused:
            raise ChangeRefused(said.refused)
        return said.answer or {}

    def _known_here(self, view: View, after: str, limit: int) -> tuple[list[Mapping[str, Any]], str, int]:
        """Return a page of what is known without a leader, where it ends, and how many from its start on there are."""
        roster, now = _kept(view)[0] or Roster(), datetime.now(UTC)
        known = with_run_time_schedules(Replica("", now, schedules(self._broker)), roster).schedules
        names = [name for name in sorted({*roster.entries, *known}) if name > after]
        rows: list[Mapping[str, Any]] = []
        for name in names[:limit]:
            schedule, entry = known.get(name), roster.entries.get(name)
            tick, failing = None, ""
            if schedule is not None and not (entry is not None and entry.paused):
                try:
                    tick = next(schedule.ticks_after(now), None)
                except Exception as error:  # of a trigger that is not ours
                    failing = f"{type(error).__name__}: {error}"
            rows.append(row(name, schedule, roster, tick, failing=failing))
        return rows, names[limit - 1] if len(names) > limit else "", len(names)


def _kept(view: View) -> tuple[Roster | None, Watermark | None]:
    try:
        return view.kept()
    except ValueError as error:
        raise NoLeader(f"no scheduler leads, and what is kept for them can't be read: {error}") from None


def _mark(view: View) -> datetime | None:
    _, watermark = _kept(view)
    return None if watermark is None else watermark.mark.due


def _inquiry(action: str, **fields: Any) -> Inquiry:
    return Inquiry(uuid.uuid4().hex, action, who(), fields)


def who() -> str:
    """Return who runs this process, and where."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in a container that runs under a bare number
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


def _why_none_leads(heard: Heard, mark: datetime | None) -> str:
    if mark is not None and mark - datetime.now(UTC) > FURTHEST_AHEAD:
        return (
            f"no scheduler leads: the watermark stands at {mark.isoformat()}, in the future, because a clock was "
            "wrong; correct the clocks, then: periodic reset-watermark"
        )
    if heard.silent:
        return (
            f"no scheduler has said that it leads, but {heard.silent} of those that are connected did not answer; they "
            "hang, or are of another version"
        )
    if heard.replies:
        return f"none of the {len(heard.replies)} schedulers that are connected leads; look into their logs"
    return NONE_CONNECTED


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
