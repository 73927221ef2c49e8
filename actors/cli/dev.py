"""``actors dev``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from actors.assembly import settings
from actors.brokers.nodes import mask_password
from actors.cli.exits import ExitStatus
from actors.cli.modules import given
from actors.cli.options import Modules, MoreModules
from actors.configuration import Settings, variable
from actors.dev.changes import watch_code
from actors.dev.child import Child
from actors.dev.showing import Show, as_json, as_lines, as_view, while_read
from actors.dev.supervisor import Start, Supervisor
from actors.errors import SettingsError
from actors.urls import path_of

# A worker leaves what runs, and lets go of it, so long before it would be killed.
LEAVES_BEFORE_S = 2.0
BROKER_URL = variable("broker_url")


def dev(
    modules: Modules = None,
    more_modules: MoreModules = None,
    threads: Annotated[int, typer.Option("--threads", "-t", min=1, metavar="N", help="Threads of the worker.")] = 8,
    no_scheduler: Annotated[bool, typer.Option("--no-scheduler", help="Run a worker alone.")] = False,
    no_reload: Annotated[bool, typer.Option("--no-reload", help="Take no notice of changes.")] = False,
    watch: Annotated[
        list[Path] | None,
        typer.Option(
            "--watch",
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Where code changes; repeatable. Default: the current folder.",
        ),
    ] = None,
    grace_s: Annotated[
        float, typer.Option("--grace", min=0.5, metavar="SECONDS", help="How long a process may take to end.")
    ] = 10.0,
    plain: Annotated[
        bool, typer.Option("--plain", help="Lines and no live view; the default where stdout is no terminal.")
    ] = False,
    json_lines: Annotated[bool, typer.Option("--json", help="A JSON object a line for all that happens.")] = False,
) -> None:
    """Run a worker and a scheduler, start both again when the code changes, and show what they do.

    For development: one command in one terminal, until Ctrl-C; a second one does not wait for jobs to end. Everything
    is where ACTORS_BROKER_URL says. A module that can't be imported is waited for until it is mended.
    """
    named = given(modules, more_modules)
    if not named and not settings().modules:
        raise SettingsError("no modules are named; name those that declare actors: actors dev shop.tasks")
    starts = {"worker": _start("worker", _worker(threads, grace_s), named, grace_s)}
    if not no_scheduler:
        scheduler = [sys.executable, "-m", "actors.dev.scheduler"]
        starts["scheduler"] = _start("scheduler", scheduler, named, grace_s)
    title = f"actors dev {' '.join(named or settings().modules)}\njobs are in {_where(settings())}"
    supervisor = Supervisor(starts, ends_when_broken=no_reload)
    _end_on_signals(supervisor.report)
    if not no_reload:
        watch_code([folder.resolve() for folder in watch or [Path()]], supervisor.report)
    with _showing(title, plain=plain or not _can_be_drawn_on(), json_lines=json_lines) as show:
        supervisor.run(while_read(show, lambda: supervisor.report({"event": "unread"})))
    raise typer.Exit(ExitStatus.USAGE if supervisor.is_broken else ExitStatus.OK)


def _worker(threads: int, grace_s: float) -> list[str]:
    leaves_s = max(grace_s / 2, grace_s - LEAVES_BEFORE_S)
    command = [sys.executable, "-m", "dramatiq", "--processes", "1", "--threads", str(threads)]
    return [*command, "--worker-shutdown-timeout", str(round(leaves_s * 1_000)), "actors.dev.worker"]


def _start(name: str, command: Sequence[str], modules: Sequence[str], grace_s: float) -> Start:
    # What a process prints is to be seen when it is printed. Where jobs are is said already, also if nobody has set it.
    env = {BROKER_URL: ",".join(settings().broker_url)} | os.environ | {"PYTHONUNBUFFERED": "1"}
    if name == "scheduler":
        # The worker answers there.
        env[variable("health_address")] = ""
    return lambda report: Child(name, [*command, *modules], env, grace_s=grace_s, report=report)


def _where(current: Settings) -> str:
    if current.is_embedded:
        return str(Path(path_of(current.broker_url[0])).resolve())
    return ", ".join(map(mask_password, current.broker_url))


def _can_be_drawn_on() -> bool:
    # Rich takes FORCE_COLOR for a terminal, and a dumb one is none to draw on.
    return sys.stdout.isatty() and Console().is_interactive


@contextmanager
def _showing(title: str, *, plain: bool, json_lines: bool) -> Iterator[Show]:
    if json_lines:
        yield as_json
    elif plain:
        typer.echo(title)
        yield as_lines
    else:
        with as_view(title) as show:
            yield show


def _end_on_signals(report: Callable[[dict[str, Any]], None]) -> None:
    def end(number: int, _: object) -> None:
        report({"event": "stop", "why": f"{signal.Signals(number).name}: ending; once more to kill"})

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
