"""The ``periodic`` command."""

from __future__ import annotations

import gc
import logging
import signal

import typer

from actors.assembly import broker, settings
from actors.cli.exits import Commands, ExitStatus
from actors.cli.logs import log_everything
from actors.cli.modules import import_from_here, load_modules
from actors.cli.options import Modules, MoreModules
from actors.cli.periodic_change import add, change, pause, remove, reset_watermark, resume
from actors.cli.periodic_enqueue import backfill, trigger
from actors.cli.periodic_look import history, list_schedules, preview_schedule, status
from actors.errors import ActorsError, LoadingError
from actors.health.server import serve
from actors.scheduling import announce, make_scheduler, probes
from periodic.errors import PeriodicError

log = logging.getLogger("periodic")


def main() -> None:
    """Run the command that ``sys.argv`` names."""
    # What is imported stays: neither a short command nor its end need look at it for garbage.
    gc.freeze()
    app(prog_name="periodic")


class RunByDefault(Commands):
    """The commands; what is none of them is a module of ``run``."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Put in the name of the command where it is left out."""
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h")):
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=RunByDefault,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def _start() -> None:
    """Enqueue each tick of all schedules exactly once, on any number of replicas: python -m periodic shop.tasks."""
    import_from_here()


@app.command()
def run(modules: Modules = None, more_modules: MoreModules = None) -> None:
    """Run a replica of the scheduler, until SIGTERM or SIGINT; `run` itself may be left out.

    One of all replicas leads. When it ends, another goes on where it was.
    """
    log_everything()
    try:
        settings()  # their errors are no module's
        loaded = load_modules(modules, more_modules)
        scheduler = make_scheduler()
        serve(settings().health_address, probes(scheduler.status))
    except LoadingError as error:
        log.critical("%s", error, exc_info=error.__cause__)
        raise typer.Exit(ExitStatus.USAGE) from None
    except (ActorsError, PeriodicError) as error:
        log.critical("%s", error)
        raise typer.Exit(ExitStatus.USAGE) from None
    if not broker.actors:
        log.critical(
            "no actors are declared%s; name the modules whose actors have periodic=: python -m periodic shop.tasks, "
            "or ACTORS_MODULES=shop.tasks",
            f" by {', '.join(loaded)}" if loaded else "",
        )
        raise typer.Exit(ExitStatus.USAGE)
    if not scheduler.schedules:
        # Nothing is wrong where all schedules are made by operators.
        log.warning(
            "no actor of %s has periodic=; only schedules that were added at run time are enqueued", ", ".join(loaded)
        )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    # What is loaded stays. With many schedules a collector that looked at all of it would hold up ticks and failovers.
    gc.collect()
    gc.freeze()
    manager = announce(scheduler.status)
    try:
        scheduler.run()
    finally:
        if manager is not None:
            manager.stopping()


for name, command in (
    ("list", list_schedules),
    ("status", status),
    ("preview", preview_schedule),
    ("history", history),
    ("pause", pause),
    ("resume", resume),
    ("trigger", trigger),
    ("backfill", backfill),
    ("add", add),
    ("change", change),
    ("remove", remove),
    ("reset-watermark", reset_watermark),
):
    app.command(name)(command)


def leave(_: int, __: object) -> None:
    """End the scheduler where it is, even while it waits for RabbitMQ; its baton passes on, and nothing is lost."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(0)
