"""What the commands of ``periodic`` share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import typer
from dramatiq.errors import BrokerConnectionError

from actors.assembly import broker
from actors.cli.exits import ExitStatus
from actors.cli.records import duration
from actors.operating import ChangeRefused, NoLeader, Operator
from actors.operating import operator as operator_here
from actors.scheduling import accepted
from periodic.errors import PeriodicError
from periodic.registry import schedules
from periodic.run_time import run_time_schedule
from periodic.schedule import Schedule
from periodic.suggestion import did_you_mean

ScheduleName = Annotated[
    str, typer.Argument(help="The schedule's name, as list prints it.", metavar="NAME", show_default=False)
]


@contextmanager
def operator(timeout_s: float) -> Iterator[Operator]:
    """Give what looks and gives orders; what the schedulers refuse ends the command."""
    try:
        yield operator_here(timeout_s=timeout_s)
    except (ChangeRefused, NoLeader) as error:
        end(str(error))


def end(problem: str) -> NoReturn:
    """End the command, which has failed because of *problem*."""
    typer.echo(f"Error: {problem}", err=True)
    raise typer.Exit(ExitStatus.FAILED)


def find_schedule(name: str, timeout_s: float) -> Schedule:
    """Return the schedule *name*: of the modules that are loaded, or else one that was added at run time.

    Raises:
        typer.BadParameter: there is none, or the modules here do not have its actor.
    """
    known = schedules(broker)
    if name in known:
        return known[name]
    where = (
        "the modules here declare no schedule" if known else "no modules with schedules are loaded; name them with -m"
    )
    try:
        told = operator_here(timeout_s=timeout_s).show(name)
    except (ChangeRefused, NoLeader, BrokerConnectionError) as error:
        problem = f"{where}{f' {name!r}' if known else ''}{did_you_mean(name, known)}, and of others: {error}"
        raise typer.BadParameter(problem, param_hint="NAME") from None
    definition = told.get("definition")
    if not isinstance(definition, Mapping):
        whose = f"{name!r} is of actor {told.get('actor')!r}"
        problem = f"{whose}, which the modules here do not declare; name its module with -m"
        raise typer.BadParameter(problem, param_hint="NAME")
    try:
        return accepted(broker, run_time_schedule(name, definition))
    except PeriodicError as error:
        raise typer.BadParameter(f"{error}; name the module of its actor with -m", param_hint="NAME") from None


def ago(text: object, now: datetime) -> str:
    """Return the ISO 8601 time *text* with how far it is from *now*; ``-`` for none."""
    if not isinstance(text, str) or not text:
        return "-"
    moment = datetime.fromisoformat(text)
    difference = (moment - now).total_seconds()
    away = duration(round(abs(difference) * 1000))
    return f"{in_short(moment)} ({f'in {away}' if difference > 0 else f'{away} ago'})"


def in_short(moment: datetime) -> str:
    """Return *moment* in UTC as ISO 8601, without a fraction of a second that is none."""
    moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def json_page(key: str, rows: list[Any], following: str, **more: Any) -> dict[str, Any]:
    """Return a page as JSON has it."""
    return {"now": datetime.now(UTC).isoformat(timespec="milliseconds"), **more, key: rows, "next": following or None}
