"""Schedules as operators see them: what runs next, what ran last, who leads; and an operator's word on them.

What a scheduler knows, the one that leads is asked for. How ticks ended is in bounded queues, which are looked into and
left as they are. Nothing is remembered here.
"""

from __future__ import annotations

import os
import pwd
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dramatiq.errors import ConnectionFailed
from pika import BlockingConnection
from pika.exceptions import AMQPError

from actors.assembly import broker, on_rabbitmq
from actors.brokers.admin import Admin
from actors.brokers.schedulers import Heard, Schedulers
from actors.brokers.topology import Topology
from actors.errors import ActorsError
from actors.tick_records import (
    Event,
    History,
    TickRecords,
    event_of_missed,
    event_of_run,
    look,
    missed_as_json,
    newest,
    run_as_json,
)
from periodic.errors import PeriodicError
from periodic.inquiry import STATUS, Inquiry
from periodic.ledger import HEADER
from periodic.office import row
from periodic.registry import schedules
from periodic.resetting import reset_without_leader
from periodic.roster import Roster
from periodic.run_time import with_run_time_schedules
from periodic.status import Role
from periodic.takeover import FURTHEST_AHEAD, Replica
from periodic.watermark import Watermark

LEADING = Role.LEADING.value


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
        leader: who has said so; empty if none leads, and this is what the code here and RabbitMQ say.
        silent: how many schedulers are connected and silent.
    """

    schedules: Sequence[Mapping[str, Any]]
    following: str
    leader: str
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
        timeout_s: how long RabbitMQ may take to answer, and how long a leader is looked for, in seconds.

    Raises:
        ConnectionFailed: from every method, when RabbitMQ does not answer.
        AccessRefused: from every method, when the user has no right to it.
    """

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    def standing(self) -> Standing:
        """Return who leads, who stands by, and what is wrong."""
        with self._admin() as admin:
            asked = Schedulers(admin, self._topology)
            heard = asked.ask(_inquiry(STATUS))
            replicas = sorted((reply.status for reply in heard.replies), key=lambda each: each.get("role") != LEADING)
            if admin.blocked:
                # It would read no other question, and it keeps the leader waiting, too.
                why = f"RabbitMQ has blocked publishers: {admin.blocked}; see rabbitmq-diagnostics alarms"
                return Standing(replicas, heard.silent, None, why)
            if replicas and replicas[0].get("role") == LEADING:
                page = asked.ask(_inquiry("list", limit=1)).leaders
                mark = page.answer.get("watermark") if page is not None and page.answer is not None else None
                return Standing(replicas, heard.silent, _moment(mark), "")
            _, watermark = self._kept(admin)
        mark_at = None if watermark is None else watermark.mark.due
        return Standing(replicas, heard.silent, mark_at, _why_none_leads(heard, mark_at))

    def page(self, *, after: str = "", limit: int = 100) -> Page:
        """Return *limit* schedules at most, those whose names come after *after*.

        Where none leads, it is what the code that is loaded here and the roster in RabbitMQ say.
        """
        with self._admin() as admin:
            heard = Schedulers(admin, self._topology).ask(_inquiry("list", after=after, limit=limit))
            said = heard.leaders
            if said is not None and said.answer is not None:
                rows, following = said.answer.get("schedules", []), said.answer.get("next") or ""
                leader = str(said.status.get("replica"))
            else:
                rows, following, leader = *self._known_here(admin, after, limit), ""
            names, records = {each["schedule"] for each in rows}, TickRecords(admin, self._topology)
            last = newest(records.runs(names), lambda run: (run.schedule, run.ended))
            missed = newest(records.missed(names), lambda each: (each.schedule, each.time.timestamp()))
        told = [
            {
                **each,
                "last": run_as_json(last.get(each["schedule"])),
                "last_missed": missed_as_json(missed.get(each["schedule"])),
            }
            for each in rows
        ]
        return Page(told, following, leader, heard.silent)

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

        A leader does it; where none leads, this process takes the baton for a moment.

        Raises:
            NoLeader: the one there is has not said so in time.
            ChangeRefused: the watermark is sane, and *force* is not given.
        """
        with self._admin() as admin:
            heard = Schedulers(admin, self._topology).ask(_inquiry(STATUS))
        if any(reply.status.get("role") == LEADING for reply in heard.replies):
            fields = {} if to is None else {"to": to.isoformat()}
            return self.change("reset-watermark", force=force, **fields)
        now = datetime.now(UTC)
        try:
            with closing(BlockingConnection(on_rabbitmq().engine.options.nodes.parameters("operator"))) as connection:
                return reset_without_leader(
                    connection, self._topology.periodic(), to or now, now, force=force, timeout_s=self._timeout_s
                )
        except (PeriodicError, ValueError) as refused:
            raise ChangeRefused(str(refused)) from None
        except AMQPError as error:
            raise ConnectionFailed(f"{on_rabbitmq().engine.options.nodes}: {error!r}") from None

    def history(self, name: str, *, limit: int = 50, after: str = "") -> History:
        """Return what became of ticks of the schedule *name*, the newest first, as far back as records are kept.

        Raises:
            ValueError: *after* is no place to go on from.
        """
        place = after.split(",") if after else None
        if place is not None and len(place) != 3:
            raise ValueError(after)
        with self._admin() as admin:
            records = TickRecords(admin, self._topology)
            found = {event_of_run(run) for run in records.runs({name})}
            found |= {event_of_missed(each) for each in records.missed({name})}
        events = sorted(found, reverse=True)
        if place is not None:
            before = Event(place[0], place[1], place[2])
            events = [event for event in events if event < before]
        return History(events[:limit], events[limit - 1].cursor if len(events) > limit else "")

    @property
    def _topology(self) -> Topology:
        return on_rabbitmq().engine.options.topology

    @contextmanager
    def _admin(self) -> Iterator[Admin]:
        with Admin(on_rabbitmq().engine.options.nodes, timeout_s=self._timeout_s) as admin:
            yield admin

    def _told(self, action: str, **fields: Any) -> Mapping[str, Any]:
        with self._admin() as admin:
            heard = Schedulers(admin, self._topology).tell(_inquiry(action, **fields), timeout_s=self._timeout_s)
            said = heard.leaders
            if said is None:
                _, watermark = self._kept(admin)
                raise NoLeader(_why_none_leads(heard, None if watermark is None else watermark.mark.due))
        if said.refused:
            raise ChangeRefused(said.refused)
        return said.answer or {}

    def _known_here(self, admin: Admin, after: str, limit: int) -> tuple[list[Mapping[str, Any]], str]:
        """Return a page of what is known without a leader, and where it ends."""
        roster, _ = self._kept(admin)
        roster, now = roster or Roster(), datetime.now(UTC)
        known = with_run_time_schedules(Replica("", now, schedules(broker)), roster).schedules
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
        return rows, names[limit - 1] if len(names) > limit else ""

    def _kept(self, admin: Admin) -> tuple[Roster | None, Watermark | None]:
        """Return roster and watermark as RabbitMQ has them; they are given back at once."""
        queues = self._topology.periodic()
        roster = watermark = None
        try:
            if held := look(admin, queues.roster, 2):
                roster = Roster.decode(held[-1].body)
            if held := look(admin, queues.watermark, 2):
                watermark = Watermark.decode(str((held[-1].properties.headers or {}).get(HEADER)))
        except ValueError as error:
            raise NoLeader(f"no scheduler leads, and what RabbitMQ keeps for them can't be read: {error}") from None
        return roster, watermark


def _inquiry(action: str, **fields: Any) -> Inquiry:
    return Inquiry(uuid.uuid4().hex, action, operator(), fields)


def operator() -> str:
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
    return "no scheduler leads, since none is connected; start one: python -m periodic shop.tasks"


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
