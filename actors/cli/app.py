"""The ``actors`` command: what it consists of, and its help."""

from __future__ import annotations

import gc
import platform
from importlib.metadata import version
from typing import Annotated

import typer

from actors.checks.settings import text
from actors.cli.abort import abort
from actors.cli.check import check
from actors.cli.dead import app as dead
from actors.cli.delayed import app as delayed
from actors.cli.dev import dev
from actors.cli.events import events
from actors.cli.exits import MEANINGS, Commands
from actors.cli.exporter import exporter
from actors.cli.idempotency import app as idempotency
from actors.cli.migrate import migrate
from actors.cli.modules import import_from_here
from actors.cli.queues import queues
from actors.cli.relay import relay
from actors.cli.run import run
from actors.cli.send import send
from actors.cli.settings import settings
from actors.cli.status import status
from actors.cli.top import top
from actors.configuration import Settings, variable


def main() -> None:
    """Run the command that ``sys.argv`` names."""
    # What is imported stays: neither a short command nor its end need look at it for garbage.
    gc.freeze()
    app(prog_name="actors")


def _epilog() -> str:
    """Return the exit statuses and every environment variable, as the help ends."""
    defaults = Settings.model_construct().model_dump(mode="json")
    lines = ["\b", "Exit status:"]
    lines += [f"  {status:d}  {meaning}" for status, meaning in MEANINGS.items()]
    lines += ["\n\b", "Environment variables, each with its default:"]
    for field, info in Settings.model_fields.items():
        default = f"={text(defaults[field])}" if defaults[field] else ""
        lines += [f"  {variable(field)}{default}", f"      {info.description}"]
    return "\n".join(lines)


def _print_version(wanted: bool) -> None:
    if wanted:
        ours, theirs = version("dramatiq-once"), version("dramatiq")
        typer.echo(f"dramatiq-once {ours} (Dramatiq {theirs}, Python {platform.python_version()})")
        raise typer.Exit


app = typer.Typer(
    cls=Commands,
    epilog=_epilog(),
    no_args_is_help=True,
    rich_markup_mode=None,  # so that a panel does not break the lines of errors and of the epilog
    pretty_exceptions_enable=False,
)


@app.callback()
def _start(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the versions, and exit.")
    ] = False,
) -> None:
    """Look at, and use, the actors of an application; workers run with: dramatiq actors shop.tasks."""
    import_from_here()


for command in (abort, check, dev, status, top, events, queues, send, run, relay, exporter, settings, migrate):
    app.command()(command)
app.add_typer(dead)
app.add_typer(delayed)
app.add_typer(idempotency)
