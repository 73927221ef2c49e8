"""``periodic list``, ``status``, ``preview`` and ``history``: they change nothing."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Any

import typer

from actors.cli.arguments import parse_time
from actors.cli.exits import ExitStatus
from actors.cli.logs import leave_outages_to_the_error
from actors.cli.modules import load_modules
from actors.cli.options import DEFAULT_TIMEOUT_S, Json, MoreModules, TimeoutS
from actors.cli.periodic_options import ScheduleName, ago, find_schedule, in_short, json_page, operator
from actors.cli.records import duration, printable
from actors.cli.render import print_json, print_table
from actors.cli.standing import print_standing, standing_as_json
from actors.operating import Event, Page
from periodic.errors import PeriodicError
from periodic.preview import Line, preview

_HEADINGS = ("schedule", "actor", "when", "next", "last run", "outcome", "took", "state")
_EVENTS = ("tick", "outcome", "ended", "took", "attempt", "by", "worker", "result, error or reason")
_LINES = ("local time", "tick", "published", "note")

# How far a preview looks without --to.
_FURTHEST = timedelta(days=366 * 30)


def list_schedules(
    limit: Annotated[int, typer.Option(min=1, max=1_000, metavar="N", help="How many to list at most.")] = 100,
    after: Annotated[str, typer.Option(metavar="NAME", help="Go on behind this schedule.")] = "",
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """List schedules by name, with their next and last runs, a page at a time.

    The scheduler that leads is asked. Where none does, it is what the modules here declare, and RabbitMQ keeps. It
    changes nothing.
    """
    leave_outages_to_the_error()
    load_modules(modules)
    with operator(timeout_s) as asked:
        page = asked.page(after=after, limit=limit)
    if not page.leader:
        typer.echo("Warning: no scheduler has answered as the leader; nothing is enqueued while none leads", err=True)
    if as_json:
        print_json(json_page("schedules", list(page.schedules), page.following, leader=page.leader or None))
        return
    now = datetime.now(UTC)
    whose = "the code of the schedulers" if page.leader else "the modules that are loaded here"
    print_table(_HEADINGS, (_row(each, now, whose) for each in page.schedules))
    _say_next(page, limit, modules)


def status(
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Show which scheduler leads, which stand by, how late ticks are, and which schedulers are not ready.

    It changes nothing. It ends with status 1 if none leads.
    """
    leave_outages_to_the_error()
    load_modules(modules)
    with operator(timeout_s) as asked:
        standing = asked.standing()
    if as_json:
        print_json(standing_as_json(standing))
    else:
        print_standing(standing)
    if standing.problem:
        typer.echo(f"Error: {standing.problem}", err=True)
        raise typer.Exit(ExitStatus.FAILED)


def preview_schedule(
    name: ScheduleName,
    begin: Annotated[str | None, typer.Option("--from", metavar="TIME", help="ISO 8601; default now.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="ISO 8601; up to but without it.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="How many to show at most.")] = 20,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Show when a schedule fires, and what changes of clocks do to it."""
    leave_outages_to_the_error()
    load_modules(modules)
    first = parse_time(begin, "--from") if begin is not None else datetime.now(UTC)
    last = parse_time(until, "--to") if until is not None else min(first + _FURTHEST, datetime.max.replace(tzinfo=UTC))
    schedule = find_schedule(name, timeout_s)
    try:
        lines = list(islice(preview(schedule, first, last), limit + 1))
    except PeriodicError as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from None
    shown, more = lines[:limit], len(lines) > limit
    if as_json:
        print_json(
            {"schedule": name, "when": schedule.trigger.text, "lines": list(map(_line_as_json, shown)), "more": more}
        )
        return
    typer.echo(f"{name}: {schedule.trigger.text}\n")
    print_table(_LINES, map(_line_row, shown))
    if more and until is not None:
        typer.echo(f"\nand more; for those give a --limit above {limit:,}")


def history(
    name: ScheduleName,
    limit: Annotated[int, typer.Option(min=1, max=1_000, metavar="N", help="How many to list at most.")] = 50,
    after: Annotated[str, typer.Option(metavar="CURSOR", help="Go on where a page ended, as its last line says.")] = "",
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Show what became of the ticks of a schedule, the newest first: runs, and those that were missed.

    RabbitMQ keeps the newest runs of all schedules together, separately for those that fire by the second, by the
    minute, by the hour and by the day. It changes nothing.
    """
    leave_outages_to_the_error()
    load_modules(modules)
    try:
        with operator(timeout_s) as asked:
            page = asked.history(name, limit=limit, after=after)
    except ValueError:
        problem = f"{after!r} is no place to go on from; take it from the last line of a page"
        raise typer.BadParameter(problem, param_hint="--after") from None
    if as_json:
        events = [
            {"outcome": event.outcome, "tick": event.tick, "at": event.at, **event.fields} for event in page.events
        ]
        print_json(json_page("events", events, page.following, schedule=name))
        return
    now = datetime.now(UTC)
    print_table(_EVENTS, (_event_row(event, now) for event in page.events))
    if page.following:
        options = ["--limit", str(limit), "--after", page.following]
        typer.echo(f"\nnext page: {shlex.join(['periodic', 'history', name, *options, *_named(modules)])}")


def _say_next(page: Page, limit: int, modules: Sequence[str] | None) -> None:
    if page.following:
        options = ["--limit", str(limit), "--after", page.following]
        typer.echo(f"\nnext page: {shlex.join(['periodic', 'list', *options, *_named(modules)])}")


def _named(modules: Sequence[str] | None) -> list[str]:
    return [word for module in modules or () for word in ("-m", module)]


def _row(told: Mapping[str, Any], now: datetime, whose: str) -> tuple[str, ...]:
    last = told["last"] or {}
    return (
        printable(str(told["schedule"])),
        printable(str(told["actor"] or "-")),
        printable(str(told["when"] or "-")),
        ago(told["next"], now),
        ago(last.get("ended"), now),
        str(last.get("outcome") or "-"),
        _took(last.get("duration_ms")),
        _state(told, now, whose),
    )


def _state(told: Mapping[str, Any], now: datetime, whose: str) -> str:
    words = []
    if told["paused"]:
        by = f" by {told['paused_by']}" if told.get("paused_by") else ""
        words.append(f"paused{by} at {ago(told.get('paused_at'), now)}")
    if told["failing"]:
        words.append(f"failing: {told['failing']}")
    if not told["in_code"]:
        words.append(f"not in {whose}")
    if told["added"]:
        words.append("added")
    if told["last_missed"]:
        missed = told["last_missed"]
        words.append(f"missed {missed['until'] or missed['time']}: {missed['reason']}")
    return printable("; ".join(words))


def _took(milliseconds: object) -> str:
    return duration(milliseconds) if isinstance(milliseconds, int) else "-"


def _line_as_json(line: Line) -> dict[str, Any]:
    return {
        "local": line.local.isoformat(),
        "time": None if line.tick is None else line.tick.time.isoformat(),
        "due": None if line.tick is None else line.tick.due.isoformat(),
        "tick_id": None if line.tick is None else line.tick.id,
        "note": line.note,
    }


def _line_row(line: Line) -> tuple[str, ...]:
    local = line.local.strftime("%a %Y-%m-%d %H:%M:%S%z")
    if line.tick is None:
        return local, "-", "-", line.note
    return local, in_short(line.tick.time), in_short(line.tick.due), line.note


def _event_row(event: Event, now: datetime) -> tuple[str, ...]:
    told = event.fields
    if event.outcome == "missed":
        tick = event.tick if told["until"] is None else f"{event.tick} to {told['until']}"
        return tick, "missed", "-", "-", "-", "-", "-", printable(told["reason"])
    return (
        event.tick,
        event.outcome,
        ago(event.at, now),
        _took(told.get("duration_ms")),
        str(told.get("attempt", "-")),
        str(told.get("by", "-")),
        printable(str(told.get("worker", "-"))),
        printable(str(told.get("error") or told.get("result") or "-")),
    )
