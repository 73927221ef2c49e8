"""``actors migrate``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
from dramatiq.errors import ConnectionFailed
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from actors.assembly import settings
from actors.brokers.nodes import mask_password
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.cli.dead.asking import until_interrupted
from actors.cli.exits import ExitStatus
from actors.cli.logs import leave_outages_to_the_error
from actors.cli.modules import load_modules
from actors.cli.options import DEFAULT_TIMEOUT_S, Json, MoreModules, TimeoutS
from actors.cli.render import print_json, print_table
from actors.configuration import Settings, read
from actors.engines import engine_of, store_of
from actors.errors import ActorsError
from actors.migrating import Counts, Destination, Migration, MigrationRefused, Report, abandon, file_to_move
from actors.urls import AMQP_EXAMPLE, AMQP_SCHEMES, SQLITE_EXAMPLE, is_file
from middleware.stores import StoreUnavailable
from middleware.stores.sqlite import FileRefused, FileUnavailable, SqliteFile

# How they are called while they are moved.
_NAMES = {
    "records": "records of keys",
    "missed": "missed ticks",
    "runs": "runs of ticks",
    "dead": "dead letters",
    "delayed": "delayed messages",
    "queued": "messages",
}


def migrate(
    source: Annotated[str, typer.Option("--from", metavar="URL", help=f"The file: {SQLITE_EXAMPLE}.")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="URL", help=f"RabbitMQ: {AMQP_EXAMPLE}.", show_default=False)
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Redis or Valkey. Default: ACTORS_STORE_URL.", show_default=False),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the watermark and the roster of schedulers that have led there.")
    ] = False,
    lift: Annotated[
        bool, typer.Option("--abandon", help="Move nothing more, and let the file be used again with what is left.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what there is to move, and change nothing.")
    ] = False,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Move everything from a SQLite file to RabbitMQ and Redis.

    Stop all workers and schedulers first; producers may go on until the file is empty, and are refused then. Afterwards
    start everything with ACTORS_BROKER_URL and ACTORS_STORE_URL set to the new places. If this is cut off, run it
    again: nothing is lost or doubled. Modules are needed only where one of them calls configure().
    """
    leave_outages_to_the_error()
    _require_file(source)
    with _ending():
        file = file_to_move(source)
        if lift:
            _abandon(file, as_json=as_json)
        elif dry_run:
            counts, users = Migration(file, moved=lambda *_: None).look()
            _show_counts(counts, users, as_json=as_json)
        else:
            target = _target(to, store, modules)
            _move(file, target, force=force, timeout_s=timeout_s, as_json=as_json)


def _require_file(source: str) -> None:
    if not is_file(source):
        problem = f"{mask_password(source)!r} is no file; only what is in a file ({SQLITE_EXAMPLE}) can be moved"
        raise typer.BadParameter(problem, param_hint="--from")


def _target(to: str | None, store: str | None, modules: list[str] | None) -> Settings:
    """Return the settings of the environment, or of a module that calls configure(), with the URLs of the options.

    Raises:
        typer.BadParameter: there is no RabbitMQ to move to.
        SettingsError: a setting is unknown or malformed.
    """
    if to is None or not all(
        each.startswith(tuple(f"{scheme}://" for scheme in AMQP_SCHEMES)) for each in to.split(",")
    ):
        given = f"{mask_password(to)!r} is no RabbitMQ" if to else "no RabbitMQ is named"
        raise typer.BadParameter(f"{given}; give {AMQP_EXAMPLE}", param_hint="--to")
    given_here: dict[str, Any] = {"broker_url": to} | ({"store_url": store} if store else {})
    if not modules:
        return read(given_here)
    load_modules(modules)
    current = settings()
    configured = {name: getattr(current, name) for name in current.model_fields_set}
    if is_file(current.store_url):
        configured.pop("store_url", None)  # where it is kept until now
    return read(configured | given_here)


def _move(file: SqliteFile, target: Settings, *, force: bool, timeout_s: float, as_json: bool) -> None:
    engine = engine_of(target, lambda: ())
    assert isinstance(engine, RabbitmqEngine)  # noqa: S101
    where = mask_password(target.store_url)
    to = Destination(engine, store_of(target), where, force=force, timeout_s=timeout_s)
    counts, _ = Migration(file, moved=lambda *_: None).look()
    with until_interrupted() as go_on, _bar(counts) as moved:
        report = Migration(file, moved=moved, go_on=go_on).run(to)
    if as_json:
        print_json({"file": str(file.path), "to": to.name, **_as_json(report)})
    else:
        _say(file, to, report)
    raise typer.Exit(ExitStatus.OK if report.is_over else ExitStatus.FAILED)


@contextmanager
def _bar(counts: Counts) -> Iterator[Callable[[str, int], None]]:
    """Show on stderr, where that is a terminal, how much is moved, as the function that is given is told."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("move", total=counts.steps)
        yield lambda kind, count: progress.update(task, advance=count, description=f"move {_NAMES[kind]}")


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "moved": {name: report.moved.get(name, 0) for name in Counts().by_kind()},
        "came_meanwhile": report.came,
        "maybe_doubled": report.doubted,
        "is_over": report.is_over,
    }


def _say(file: SqliteFile, to: Destination, report: Report) -> None:
    _show("moved", report.moved)
    if report.came:
        typer.echo(f"{report.came:,} messages came to the file meanwhile, and were moved, too")
    if report.doubted:
        typer.echo(
            f"{report.doubted:,} messages may be there twice, with the same ids: idempotent actors run them once",
            err=True,
        )
    if report.is_over:
        typer.echo(
            f"moved to {to.name}; nobody can use {file.path} any more. Set ACTORS_BROKER_URL and ACTORS_STORE_URL"
        )
    else:
        typer.echo(
            f"interrupted; the same command goes on, and --abandon lets {file.path} be used again with what is left",
            err=True,
        )


def _show_counts(counts: Counts, users: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"to_move": counts.by_kind(), "queues": counts.queues, "in_use_by": users})
        return
    _show("to move", counts.by_kind())
    print_table(
        ("queue", "queued", "delayed", "dead"),
        (
            (name, *(f"{each[kind]:,}" for kind in ("queued", "delayed", "dead")))
            for name, each in counts.queues.items()
        ),
    )
    for user in users:
        typer.echo(f"in use: {user}")


def _show(heading: str, numbers: Mapping[str, int]) -> None:
    rows = [(_NAMES.get(kind, kind), f"{numbers[kind]:,}") for kind in Counts().by_kind() if numbers.get(kind)]
    if rows:
        print_table(("what", heading), rows)
    else:
        typer.echo(f"{heading}: nothing")


def _abandon(file: SqliteFile, *, as_json: bool) -> None:
    marker = abandon(file)
    doubtful = len(marker.noted.ids) if marker is not None and marker.noted is not None else 0
    if as_json:
        print_json({"file": str(file.path), "was_moving": marker is not None, "maybe_doubled": doubtful})
    elif marker is None:
        typer.echo(f"nothing of {file.path} was being moved")
    else:
        typer.echo(f"{file.path} can be used again, with what is left in it; what was moved stays in {marker.target}")
        if doubtful:
            typer.echo(f"{doubtful} messages of the batch that was being published may be in both places", err=True)


@contextmanager
def _ending() -> Iterator[None]:
    """End with one line where the file, or what is in it, does not allow to go on."""
    try:
        yield
    except MigrationRefused as refused:
        _end(str(refused), ExitStatus.FAILED)
    except FileRefused as refused:
        _end(str(refused), ExitStatus.USAGE)
    except ActorsError:
        raise  # it says what to do
    except (FileUnavailable, StoreUnavailable, ConnectionFailed) as error:
        _end(f"{error}; nothing is lost: run the same command again", ExitStatus.UNREACHABLE)


def _end(text: str, status: ExitStatus) -> NoReturn:
    typer.echo(f"Error: {' '.join(text.split())}", err=True)
    raise typer.Exit(status)
