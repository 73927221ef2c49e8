"""``periodic pause``, ``resume``, ``add``, ``change``, ``remove`` and ``reset-watermark``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from actors.cli.arguments import parse_arguments, parse_duration, parse_time
from actors.cli.audit import audit
from actors.cli.logs import leave_outages_to_the_error
from actors.cli.modules import load_modules
from actors.cli.options import DEFAULT_TIMEOUT_S, Json, MoreModules, TimeoutS
from actors.cli.periodic_options import ScheduleName, operator
from actors.cli.render import print_json
from periodic.errors import ScheduleError
from periodic.run_time import run_time_schedule


class Gap(StrEnum):
    """What a time does that the clocks leave out."""

    END = "end"
    SKIP = "skip"


class Repeat(StrEnum):
    """Which fires of a time that the clocks show twice."""

    FIRST = "first"
    LAST = "last"
    BOTH = "both"


class Overlap(StrEnum):
    """What a tick does while a run of its schedule goes on."""

    ALLOW = "allow"
    SKIP = "skip"
    QUEUE_ONE = "queue_one"


Actor = Annotated[str | None, typer.Option("--actor", metavar="NAME", help="Which actor its ticks run.")]
Cron = Annotated[str | None, typer.Option("--cron", metavar="EXPR", help="Such as '0 9 * * 1-5'.")]
Every = Annotated[str | None, typer.Option("--every", metavar="DURATION", help="An interval: 30s, 5m, 1h30m, 1d.")]
At = Annotated[list[str] | None, typer.Option("--at", metavar="TIME", help="A moment, ISO 8601; repeatable.")]
Timezone = Annotated[str | None, typer.Option("--timezone", metavar="ZONE", help="Of --cron; default UTC.")]
GapOf = Annotated[Gap | None, typer.Option("--gap", help="What a time does that the clocks leave out.")]
RepeatOf = Annotated[Repeat | None, typer.Option("--repeat", help="Which fires of a time that the clocks show twice.")]
ArgsOf = Annotated[str | None, typer.Option("--args", metavar="JSON", help="Positional arguments: '[42, \"EUR\"]'.")]
KwargsOf = Annotated[
    str | None, typer.Option("--kwargs", metavar="JSON", help="Keyword arguments: '{\"order_id\": 42}'.")
]
QueueOf = Annotated[str | None, typer.Option("--queue", metavar="NAME", help="The queue; default the actor's.")]
Priority = Annotated[int | None, typer.Option("--priority", metavar="N", help="Higher goes first.")]
Jitter = Annotated[str | None, typer.Option("--jitter", metavar="DURATION", help="Ticks are late by less than this.")]
CatchUp = Annotated[
    str | None, typer.Option("--catch-up", metavar="DURATION", help="Ticks missed for no longer are all enqueued.")
]
Coalesce = Annotated[
    bool | None, typer.Option("--coalesce/--no-coalesce", help="Of older ones, whether only the latest is.")
]
Cap = Annotated[int | None, typer.Option("--cap", metavar="N", help="How many of them at most, with --no-coalesce.")]
OverlapOf = Annotated[Overlap | None, typer.Option("--overlap", help="While a run of the schedule goes on.")]
Start = Annotated[str | None, typer.Option("--start", metavar="TIME", help="No tick is earlier; ISO 8601.")]
End = Annotated[str | None, typer.Option("--end", metavar="TIME", help="Every tick is earlier; ISO 8601.")]


def pause(
    name: ScheduleName, timeout_s: TimeoutS = DEFAULT_TIMEOUT_S, modules: MoreModules = None, as_json: Json = False
) -> None:
    """Let a schedule enqueue nothing until it is resumed, whatever restarts meanwhile.

    Jobs that are enqueued already run. Prints a line for an audit on stderr.
    """
    _order("pause", name, {}, timeout_s, modules, as_json=as_json)


def resume(
    name: ScheduleName, timeout_s: TimeoutS = DEFAULT_TIMEOUT_S, modules: MoreModules = None, as_json: Json = False
) -> None:
    """Let a paused schedule enqueue its ticks again, from now on.

    Those of the pause are recorded as missed; backfill enqueues them. Prints a line for an audit on stderr.
    """
    _order("resume", name, {}, timeout_s, modules, as_json=as_json)


def add(
    name: ScheduleName,
    actor: Actor = None,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    timezone: Timezone = None,
    gap: GapOf = None,
    repeat: RepeatOf = None,
    args: ArgsOf = None,
    kwargs: KwargsOf = None,
    queue: QueueOf = None,
    priority: Priority = None,
    jitter: Jitter = None,
    catch_up: CatchUp = None,
    coalesce: Coalesce = None,
    cap: Cap = None,
    overlap: OverlapOf = None,
    start: Start = None,
    end: End = None,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Add a schedule at run time, for an actor that the code of the schedulers has; it survives all restarts.

    Its ticks count from now on. Prints a line for an audit on stderr.
    """
    definition = _definition(dict(locals()))
    try:
        run_time_schedule(name, definition)
    except ScheduleError as error:
        raise typer.BadParameter(str(error)) from None
    _order("add", name, {"definition": definition}, timeout_s, modules, as_json=as_json)


def change(
    name: ScheduleName,
    actor: Actor = None,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    timezone: Timezone = None,
    gap: GapOf = None,
    repeat: RepeatOf = None,
    args: ArgsOf = None,
    kwargs: KwargsOf = None,
    queue: QueueOf = None,
    priority: Priority = None,
    jitter: Jitter = None,
    catch_up: CatchUp = None,
    coalesce: Coalesce = None,
    cap: Cap = None,
    overlap: OverlapOf = None,
    start: Start = None,
    end: End = None,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Change a schedule that was added at run time; what is not given stays.

    A new timing counts from now on. Prints a line for an audit on stderr.
    """
    definition = _definition(dict(locals()))
    if not definition:
        raise typer.BadParameter("give what is to change, such as --cron or --args")
    _order("change", name, {"definition": definition}, timeout_s, modules, as_json=as_json)


def remove(
    name: ScheduleName, timeout_s: TimeoutS = DEFAULT_TIMEOUT_S, modules: MoreModules = None, as_json: Json = False
) -> None:
    """Remove a schedule that was added at run time; one of the code goes with its declaration.

    Jobs that are enqueued already run. Prints a line for an audit on stderr.
    """
    _order("remove", name, {}, timeout_s, modules, as_json=as_json)


def reset_watermark(
    to: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Let ticks count from here on; ISO 8601, default now.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Even if the watermark is sane.")] = False,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Move a watermark back that stands in the future, because a clock was wrong: no scheduler leads until then.

    Ticks after the new watermark that are out already are enqueued again under their ids, by which those that have run
    do not run again. Prints a line for an audit on stderr.
    """
    leave_outages_to_the_error()
    moment = parse_time(to, "--to") if to is not None else None
    load_modules(modules)
    note: dict[str, Any] = {"operation": "reset-watermark", "to": to, "forced": force}
    try:
        with operator(timeout_s) as orders:
            text = orders.reset_watermark(moment, force=force)
    except typer.Exit:
        audit(**note, outcome="refused")
        raise
    audit(**note, outcome="done")
    _say(text, {"text": text}, as_json=as_json)


def _order(
    operation: str,
    name: str,
    fields: dict[str, Any],
    timeout_s: float,
    modules: list[str] | None,
    *,
    as_json: bool,
) -> None:
    """Have the leader do it, and leave a line on what came of that."""
    leave_outages_to_the_error()
    load_modules(modules)
    note = {"operation": operation, "schedule": name, **fields}
    outcome = "unsure"
    try:
        with operator(timeout_s) as orders:
            text = orders.change(operation, schedule=name, **fields)
        outcome = "done"
    except typer.Exit:
        outcome = "refused"
        raise
    finally:
        audit(**note, outcome=outcome)
    _say(text, {"schedule": name, "text": text}, as_json=as_json)


def _say(text: str, data: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(data)
    else:
        typer.echo(text)


def _definition(given: dict[str, Any]) -> dict[str, Any]:
    """Return the definition that the options of a command say, as the roster keeps it."""
    names = ("actor", "cron", "timezone", "queue", "priority", "coalesce", "cap")
    found: dict[str, Any] = {name: given[name] for name in names}
    found |= {name: given[name] and given[name].value for name in ("gap", "repeat", "overlap")}
    for name, option in (("every", "--every"), ("jitter", "--jitter"), ("catch_up", "--catch-up")):
        found[name] = None if given[name] is None else parse_duration(given[name], option)
    for name, option in (("start", "--start"), ("end", "--end")):
        found[name] = None if given[name] is None else parse_time(given[name], option).isoformat()
    found["at"] = [parse_time(each, "--at").isoformat() for each in given["at"] or ()] or None
    positional, keyword = parse_arguments(given["args"] or "[]", given["kwargs"] or "{}")
    found |= {"args": None if given["args"] is None else list(positional)}
    found |= {"kwargs": None if given["kwargs"] is None else keyword}
    return {name: value for name, value in found.items() if value is not None}
