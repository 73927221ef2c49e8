"""``actors top``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from actors.cli.deployment import (
    ACTORS,
    LEVELS,
    QUEUES,
    WORKERS,
    actor_row,
    deployment_as_json,
    longest,
    queue_row,
    totals,
    worker_row,
)
from actors.cli.lasting import until_told
from actors.cli.logs import leave_outages_to_the_error
from actors.cli.modules import load_modules
from actors.cli.options import Json, Modules, MoreModules, TimeoutS
from actors.cli.records import duration, printable
from actors.fleet.deployment import Deployment, Worker
from actors.fleet.report import Running
from actors.fleet.watching import Watching

Row = Sequence[str | Text]

REFRESH_EVERY_S = 1.0
MOST_ROWS = 10
_PIPE_WIDTH = 160
_RUNNING = ("running longest", "message", "attempt", "for", "worker")


def top(
    modules: Modules = None,
    more_modules: MoreModules = None,
    once: Annotated[bool, typer.Option("--once", help="Show one look, and end.")] = False,
    timeout_s: TimeoutS = 2.0,
    as_json: Json = False,
) -> None:
    """Watch rates, what runs longest, workers and queues, each second, until q or Ctrl-C.

    While it runs, workers tell of themselves each second. With --json it prints a JSON object a line, each second.
    """
    leave_outages_to_the_error()
    load_modules(modules, more_modules)
    watching = Watching(timeout_s, time.monotonic)
    with until_told(keys=True) as wait, _showing(as_json=as_json, once=once) as show:
        show(watching.look())
        while not once and not wait(REFRESH_EVERY_S):
            show(watching.look())


@contextmanager
def _showing(*, as_json: bool, once: bool) -> Iterator[Callable[[Deployment], None]]:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    if as_json:
        yield _print_json
    elif once or not (sys.stdout.isatty() and console.is_interactive):
        # Rich takes FORCE_COLOR for a terminal, and a dumb one is none to draw on.
        yield lambda seen: _print(console, seen)
    else:
        with Live(console=console, auto_refresh=False, screen=True) as live:
            yield lambda seen: live.update(render(seen), refresh=True)


def render(seen: Deployment) -> Group:
    """Return *seen* as a view in a terminal."""
    heard, all_workers = len(seen.heard), len(seen.workers or ())
    silent = f", {all_workers - heard} silent" if all_workers > heard else ""
    clock = datetime.fromtimestamp(seen.at / 1_000).astimezone().strftime("%H:%M:%S")
    head = Text(f"{clock}  {heard} worker{'' if heard == 1 else 's'}{silent}; {totals(seen)}", style="bold")
    parts: list[RenderableType] = [head]
    for each in seen.problems[:MOST_ROWS]:
        parts.append(Text(printable(f"{each.level}: {each.subject}: {each.what}"), style=LEVELS[each.level]))
    running = [_running_row(*each) for each in longest(seen)]
    for headings, rows in (
        (ACTORS, [actor_row(name, work) for name, work in seen.actors.items()]),
        (_RUNNING, running),
        (QUEUES, [queue_row(each) for each in seen.queues or ()]),
        (WORKERS, [worker_row(each) for each in seen.workers or ()]),
    ):
        if rows:
            parts += [Text(), _table(headings, rows)]
    return Group(*parts)


def _table(headings: Sequence[str], rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading.upper(), no_wrap=True, overflow="ellipsis")
    for row in rows[:MOST_ROWS]:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    if len(rows) > MOST_ROWS:
        table.add_row(Text(f"and {len(rows) - MOST_ROWS:,} more", style="dim"))
    return table


def _running_row(worker: Worker, running: Running) -> Row:
    return (
        printable(running.actor),
        printable(running.message_id),
        str(running.attempt),
        duration(worker.ran_for_ms(running.since)),
        printable(f"{worker.report.host}:{worker.report.pid}"),
    )


def _print(console: Console, seen: Deployment) -> None:
    with console.capture() as capture:
        console.print(render(seen))
    for line in capture.get().splitlines():
        typer.echo(line.rstrip())
    typer.echo()
    sys.stdout.flush()


def _print_json(seen: Deployment) -> None:
    typer.echo(json.dumps(deployment_as_json(seen)))
    sys.stdout.flush()
