"""``periodic trigger`` and ``periodic backfill``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from actors.assembly import broker, idempotency_defaults
from actors.cli.arguments import parse_arguments, parse_time
from actors.cli.audit import audit
from actors.cli.exits import ExitStatus
from actors.cli.logs import leave_outages_to_the_error
from actors.cli.modules import load_modules
from actors.cli.options import DEFAULT_TIMEOUT_S, Json, MoreModules, TimeoutS
from actors.cli.periodic_options import ScheduleName, end, find_schedule, in_short
from actors.cli.records import duration
from actors.cli.render import print_json
from actors.ticks import backfill as enqueue_ticks
from actors.ticks import run_now, ticks_between
from middleware.policy import Policy
from periodic.errors import PeriodicError
from periodic.schedule import Schedule
from periodic.tick import Tick

_SHOWN = 5


def trigger(
    name: ScheduleName,
    args: Annotated[
        str | None, typer.Option("--args", metavar="JSON", help="Positional arguments in place of the schedule's.")
    ] = None,
    kwargs: Annotated[
        str | None, typer.Option("--kwargs", metavar="JSON", help="Keyword arguments in place of the schedule's.")
    ] = None,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Enqueue one run of a schedule now, beside its ticks, paused or not.

    It returns once RabbitMQ has confirmed the message. Prints a line for an audit on stderr.
    """
    leave_outages_to_the_error()
    positional, keyword = parse_arguments(args or "[]", kwargs or "{}")
    load_modules(modules)
    schedule = find_schedule(name, timeout_s)
    parameters = getattr(broker.get_actor(schedule.actor), "parameters", None)
    own_args = positional if args is not None else None
    own_kwargs = keyword if kwargs is not None else None
    if parameters is not None:
        given = (schedule.args if own_args is None else own_args, schedule.kwargs if own_kwargs is None else own_kwargs)
        parameters.check(*given)
    message = run_now(schedule, own_args, own_kwargs)
    audit(operation="trigger", outcome="done", schedule=name, message_id=message.message_id)
    if as_json:
        sent = {
            "schedule": name,
            "actor": schedule.actor,
            "message_id": message.message_id,
            "queue": message.queue_name,
        }
        print_json(sent)
    else:
        typer.echo(
            f"enqueued {schedule.actor} for {name} to queue {message.queue_name} as message {message.message_id}"
        )


def backfill(
    name: ScheduleName,
    begin: Annotated[str, typer.Option("--from", metavar="TIME", help="ISO 8601; the first time.", show_default=False)],
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="ISO 8601; up to but without it; default now.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be enqueued, and end.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Enqueue nothing if there are more ticks.")] = 10_000,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Enqueue the ticks of a schedule between two times; those that have run do not run again.

    A tick has the same id whoever enqueues it, and its id is its idempotency key: so only the holes are filled, for as
    long as keys are remembered. Says first how many there are, and asks. Prints a line for an audit on stderr.
    """
    leave_outages_to_the_error()
    now = datetime.now(UTC)
    first = parse_time(begin, "--from")
    last = parse_time(until, "--to") if until is not None else now
    if last > now:
        raise typer.BadParameter(f"{until} is in the future; those ticks are the schedulers'", param_hint="--to")
    if first >= last:
        raise typer.BadParameter(f"{begin} is not before {in_short(last)}", param_hint="--from")
    load_modules(modules)
    schedule = find_schedule(name, timeout_s)
    try:
        ticks = list(islice(ticks_between(schedule, first, last), limit + 1))
    except PeriodicError as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from None
    span = f"{in_short(first)} and {in_short(last)}"
    if len(ticks) > limit:
        end(f"there are more than {limit:,} ticks between {span}; give a shorter range, or --limit")
    warnings = _warnings(schedule, first, now)
    for warning in warnings:
        typer.echo(f"Warning: {warning}", err=True)
    if not as_json:
        typer.echo(f"{len(ticks):,} ticks of {name} between {span}")
        for tick in [*ticks[:_SHOWN], *ticks[max(_SHOWN, len(ticks) - 1) :]]:
            typer.echo(f"  {in_short(tick.time)}")
    count = 0
    if ticks and not dry_run:
        if not yes:
            _ask(len(ticks))
        count = _enqueue(schedule, ticks, {"from": first.isoformat(), "to": last.isoformat()})
    if as_json:
        shown = [{"time": tick.time.isoformat(), "message_id": tick.id} for tick in ticks]
        told = {"schedule": name, "from": first.isoformat(), "to": last.isoformat(), "warnings": warnings}
        print_json(told | {"ticks": shown, "enqueued": count})
    elif count:
        typer.echo(f"enqueued {count:,} ticks; those that have run are dropped by their ids")


def _enqueue(schedule: Schedule, ticks: Sequence[Tick], span: Mapping[str, str]) -> int:
    """Enqueue *ticks*, show how far it is, and leave a line on how far it came; return how many are confirmed."""
    count, outcome = 0, "failed"
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("enqueue", total=len(ticks))

        def confirmed(number: int) -> None:
            nonlocal count
            count += number
            progress.advance(task, number)

        try:
            enqueue_ticks(schedule, ticks, confirmed)
            outcome = "done"
        finally:
            progress.stop()
            note: dict[str, Any] = {"operation": "backfill", "outcome": outcome, "schedule": schedule.name, **span}
            audit(**note, ticks=len(ticks), enqueued=count)
    return count


def _ask(count: int) -> None:
    if not _is_asked():
        typer.echo("Error: nobody can be asked here; give --yes, or --dry-run", err=True)
        raise typer.Exit(ExitStatus.USAGE)
    typer.confirm(f"enqueue {count:,} ticks?", abort=True, err=True)


def _is_asked() -> bool:
    return sys.stdin.isatty()


def _warnings(schedule: Schedule, first: datetime, now: datetime) -> list[str]:
    """Return why ticks that have run may run again, and others not at all."""
    warnings = [why for why in [_why_again(schedule, first, now)] if why]
    if schedule.overlap != "allow":
        warnings.append(f"overlap={schedule.overlap}: ticks that find a run of {schedule.name} going on are skipped")
    return warnings


def _why_again(schedule: Schedule, first: datetime, now: datetime) -> str:
    actor = broker.get_actor(schedule.actor)
    policy = getattr(actor, "policy", None) or Policy.of(
        actor.options, actor.fn, actor.actor_name, idempotency_defaults()
    )
    if not policy.idempotent:
        return f"{schedule.actor} has idempotent=False: every tick runs, also those that have run"
    oldest = now - timedelta(milliseconds=policy.ttl_ms)
    if first >= oldest:
        return ""
    return (
        f"keys of {schedule.actor} are remembered for {duration(policy.ttl_ms)}: ticks that ran before "
        f"{in_short(oldest)} run again (idempotency_ttl)"
    )
