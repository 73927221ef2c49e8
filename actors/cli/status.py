"""``actors status``."""

from __future__ import annotations

import typer

from actors.cli.deployment import (
    ACTORS,
    PROBLEMS,
    QUEUES,
    WORKERS,
    actor_row,
    deployment_as_json,
    problem_row,
    queue_row,
    totals,
    worker_row,
)
from actors.cli.exits import ExitStatus
from actors.cli.logs import leave_outages_to_the_error
from actors.cli.modules import load_modules
from actors.cli.options import DEFAULT_TIMEOUT_S, Json, Modules, MoreModules, TimeoutS
from actors.cli.render import print_json, print_table
from actors.cli.standing import print_standing
from actors.fleet.deployment import Deployment
from actors.fleet.lookout import Lookout


def status(
    modules: Modules = None,
    more_modules: MoreModules = None,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Show workers and what each runs, schedulers, queues, and rates.

    Workers tell of themselves every five seconds, and are shown for five minutes after the last time. While there are
    some, no modules need be named; the queues of those that are named are looked at, too. It changes nothing. It ends
    with status 1 if a worker is silent or paused, if messages wait in a queue that nobody takes from, or if there are
    schedules and no scheduler leads; with 3 if RabbitMQ, Redis or the file does not answer, and shows what there is
    without it.
    """
    leave_outages_to_the_error()
    load_modules(modules, more_modules)
    seen = Lookout(timeout_s).look()
    if as_json:
        print_json(deployment_as_json(seen))
    else:
        _print(seen)
    raise typer.Exit(exit_status(seen))


def exit_status(seen: Deployment) -> ExitStatus:
    """Return how a look at *seen* ends."""
    if any(each.is_outage for each in seen.problems):
        return ExitStatus.UNREACHABLE
    return ExitStatus.FAILED if any(each.level == "error" for each in seen.problems) else ExitStatus.OK


def _print(seen: Deployment) -> None:
    if seen.workers:
        print_table(WORKERS, map(worker_row, seen.workers))
        typer.echo(f"\n{totals(seen)}")
    elif seen.workers is not None:
        typer.echo("no worker has told of itself in the last five minutes; start one: dramatiq actors shop.tasks")
    if actors := seen.actors:
        typer.echo()
        print_table(ACTORS, (actor_row(name, work) for name, work in actors.items()))
    if seen.queues:
        typer.echo()
        print_table(QUEUES, map(queue_row, seen.queues))
    if seen.delayed is not None:
        typer.echo(f"\ndelayed in RabbitMQ, of all queues: {seen.delayed:,}")
    if seen.schedulers is not None and seen.schedulers.replicas:
        typer.echo()
        print_standing(seen.schedulers)
    if seen.problems:
        typer.echo()
        print_table(PROBLEMS, map(problem_row, seen.problems))
