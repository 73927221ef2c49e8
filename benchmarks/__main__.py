"""``make bench``: what the guarantees cost, and what delays and schedules do, beside others in the same run."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

import services
from benchmarks import throughput
from benchmarks.dead import suite as dead
from benchmarks.delays import suite as delays
from benchmarks.delays.plan import Size
from benchmarks.embedded import suite as embedded
from benchmarks.observability import suite as observability
from benchmarks.periodic import suite as periodic
from benchmarks.report import Report
from benchmarks.systems import SUITES

ALL = (*SUITES, "delays", "dead", "periodic", "embedded", "observability")


def main(
    suites: Annotated[list[str] | None, typer.Argument(help=f"any of {', '.join(ALL)}; all by default")] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"how often each trial is run: {throughput.ROUNDS}, for embedded {embedded.ROUNDS}, for observability "
            f"{observability.ROUNDS}, for delays, dead and periodic {delays.ROUNDS}",
        ),
    ] = None,
    messages: Annotated[
        int | None,
        typer.Option(
            min=100,
            help=f"messages a trial: {throughput.MESSAGES:,}; for delays those in the memory trial, "
            f"{delays.MESSAGES:,}, and of the others in proportion; for dead the dead letters, {dead.LETTERS:,}; "
            f"for periodic the schedules, {periodic.SCHEDULES:,}; for embedded those that are drained, "
            f"{embedded.MESSAGES:,}, a fifth of them where each costs a system the time of the disk; for observability "
            f"the same, {observability.MESSAGES:,}",
        ),
    ] = None,
    celery: Annotated[
        bool, typer.Option(help="measure delays and schedules in Celery too, from a folder that is made for it")
    ] = True,
    huey: Annotated[
        bool, typer.Option(help="measure workers without a server in huey too, from a folder that is made for it")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="print the rows as JSON")] = False,
    write: Annotated[Path | None, typer.Option(help="also write the tables to Markdown files in this folder")] = None,
) -> None:
    """Measure this project beside plain Dramatiq, and for delays and schedules beside Celery, in the same run."""
    chosen = suites or list(ALL)
    unknown = [suite for suite in chosen if suite not in ALL]
    if unknown:
        raise typer.BadParameter(f"no suite {unknown[0]!r}; there are {', '.join(ALL)}")
    reports: dict[str, Report] = {}
    with ExitStack() as stack:
        store = stack.enter_context(services.redis(private=True))
        for name in (each for each in chosen if each == "embedded"):
            # Before there is a RabbitMQ, which is busy with itself also when nobody asks anything of it.
            reports[name] = embedded.run(store, rounds or embedded.ROUNDS, messages or embedded.MESSAGES, huey=huey)
        if set(chosen) - reports.keys():
            server = stack.enter_context(services.rabbitmq(private=True))
        for name in (each for each in chosen if each not in reports):
            if name == "delays":
                size = Size.of(messages or delays.MESSAGES)
                reports[name] = delays.run(server, store, rounds or delays.ROUNDS, size, celery=celery)
            elif name == "dead":
                reports[name] = dead.run(server, store, rounds or dead.ROUNDS, messages or dead.LETTERS)
            elif name == "periodic":
                reports[name] = periodic.run(
                    server, rounds or periodic.ROUNDS, messages or periodic.SCHEDULES, celery=celery
                )
            elif name == "observability":
                reports[name] = observability.run(
                    server, store, rounds or observability.ROUNDS, messages or observability.MESSAGES
                )
            else:
                reports[name] = throughput.run(
                    name, server, store, rounds or throughput.ROUNDS, messages or throughput.MESSAGES
                )
    for name, report in reports.items():
        if write is not None:
            (write / f"{name}.md").write_text(report.page)
        if not as_json:
            Console().print(Markdown(report.page))
    if as_json:
        found = {name: {"rows": each.rows, "conditions": each.conditions} for name, each in reports.items()}
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    typer.run(main)
