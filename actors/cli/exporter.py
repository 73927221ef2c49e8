"""``actors exporter``."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Annotated, Any

import typer

from actors.assembly import settings
from actors.cli.exits import ExitStatus
from actors.cli.logs import leave_outages_to_the_error, log_everything
from actors.cli.modules import load_modules
from actors.cli.options import Json, Modules, MoreModules
from actors.cli.render import print_json
from actors.errors import SettingsError
from actors.health.pages import Pages, verdict
from actors.health.server import serve
from actors.metrics.exporter import FRESH_S, Exporter
from actors.metrics.page import metrics_page
from periodic.health import Check

TIMEOUT_S = 4.0


def exporter(
    modules: Modules = None,
    more_modules: MoreModules = None,
    once: Annotated[bool, typer.Option("--once", help="Print the page on stdout, and exit.")] = False,
    fresh_s: Annotated[
        float, typer.Option("--fresh", min=0, metavar="SECONDS", help="For how long a look at the queues stands.")
    ] = FRESH_S,
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=0.1, metavar="SECONDS", help="How long each part of a look may take.")
    ] = TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Tell Prometheus of queues, dead letters and schedules, at /metrics of ACTORS_HEALTH_ADDRESS.

    One for an environment is enough; workers and schedulers tell of themselves. It looks when it is asked, and never
    changes anything. It runs until SIGTERM or SIGINT. With --once, or --json, it looks once: for people, and for
    node_exporter's textfile collector; it ends with status 3 where RabbitMQ, or the file, does not answer.
    """
    leave_outages_to_the_error()
    load_modules(modules, more_modules)
    looking = Exporter(timeout_s=timeout_s, fresh_s=fresh_s)
    if once or as_json:
        _print(looking, as_json=as_json)
        return
    address = settings().health_address
    if not address:
        raise SettingsError(
            "ACTORS_HEALTH_ADDRESS is not set: there is nowhere to be asked; set it, such as to :9102, or give --once"
        )
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    log_everything()
    server = serve(address, _pages(looking))
    stopping.wait()
    if server is not None:
        server.close()


def _pages(looking: Exporter) -> Pages:
    def ready() -> Check:
        problem = looking.problem()
        return Check("broker", not problem, problem or "it has answered")

    return {
        "/live": lambda: verdict([Check("exporter", True, "it answers")]),
        "/ready": lambda: verdict([ready()]),
        "/metrics": metrics_page(looking.families),
    }


def _print(looking: Exporter, *, as_json: bool) -> None:
    found = looking.families()
    if as_json:
        print_json({"metrics": [_as_json(sample) for family in found for sample in family.samples]})
    else:
        sys.stdout.write(metrics_page(lambda: found)().body.decode())
    if problem := looking.problem():
        typer.echo(f"Error: {problem}", err=True)
        raise typer.Exit(ExitStatus.UNREACHABLE)


def _as_json(sample: Any) -> dict[str, Any]:
    return {"name": sample.name, "labels": sample.labels, "value": sample.value}
