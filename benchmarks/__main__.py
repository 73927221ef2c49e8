"""``make bench``: enqueue and drain rates beside plain Dramatiq, in interleaved rounds."""

import json
import os
import platform
import random
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Annotated

import pika
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

import services
from benchmarks.systems import PLAIN, SUITES, Servers, System
from benchmarks.trial import SENDS

Samples = dict[str, dict[str, list[float]]]

# What is measured in each suite; a drain also measures its CPU.
MEASURES = {"broker": (*SENDS, "drain"), "idempotency": ("drain",)}


def trial(system: System, what: str, servers: Servers, count: int) -> dict[str, float]:
    """Return seconds a message, by what was measured."""
    arguments = [system.name, what, servers.broker_url, servers.store_url, servers.prefix, str(count)]
    command = [sys.executable, "-m", "benchmarks.trial", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=400)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def delete_queues(server: services.RabbitMQ) -> None:
    """Leave each trial the same empty server."""
    names = server.ctl("list_queues", "name").split()
    connection = pika.BlockingConnection(pika.URLParameters(server.url))
    for name in names:
        connection.channel().queue_delete(name)
    connection.close()


def measure(server: services.RabbitMQ, store: services.Redis, suite: str, rounds: int, count: int) -> Samples:
    """Run all trials *rounds* times, in a new random order each round."""
    samples: Samples = {system.name: {} for system in SUITES[suite]}
    trials = [(system, what) for system in SUITES[suite] for what in MEASURES[suite]]
    plan = [each for _ in range(rounds) for each in random.sample(trials, len(trials))]
    for number, (system, what) in enumerate(track(plan, f"measuring: {suite}", console=Console(stderr=True))):
        one_by_one = what.startswith("send") and what != "send many" and system is not PLAIN
        servers = Servers(server.url, store.url, f"b{number}")
        measured = trial(system, what, servers, count // 5 if one_by_one else count)
        for name, seconds in measured.items():
            samples[system.name].setdefault(name, []).append(seconds)
        delete_queues(server)
    return samples


def rows(samples: Samples) -> list[dict[str, object]]:
    """Return one row a system and measure: median, extremes, and the ratio to the baseline (over 1 is better)."""
    return [
        {
            "system": system,
            "measure": name,
            "unit": "CPU µs a message" if name == "cpu" else "messages/s",
            **_summary([value * 1e6 if name == "cpu" else 1 / value for value in values]),
            "ratio": round(median(samples[PLAIN.name][name]) / median(values), 2),
        }
        for system, measured in samples.items()
        for name, values in sorted(measured.items())
    ]


def _summary(values: list[float]) -> dict[str, float]:
    return {"median": round(median(values)), "min": round(min(values)), "max": round(max(values))}


def conditions(server: services.RabbitMQ, store: services.Redis, rounds: int, count: int) -> str:
    """Return what the numbers depend on."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("dramatiq-once", "dramatiq", "pika"))
    return (
        f"{versions}, Python {platform.python_version()}, RabbitMQ {server.version}, Redis {store.version}; "
        f"{rounds} rounds of {count:,} "
        f"no-op messages in random order, one worker process with 8 threads, on {os.cpu_count()} cores that the "
        "servers share. Every system has its own default middleware. "
        "Not measured: network latency, replication, payloads over 100 bytes."
    )


def markdown(suite: str, found: list[dict[str, object]], note: str) -> str:
    """Return the page docs/benchmarks/SUITE.md: a row a measure, a column a system."""
    by_place = {(row["measure"], row["system"]): row for row in found}
    lines = [
        f"# Beside plain Dramatiq: {suite}",
        "",
        "Median (min-max), and in bold the ratio to plain Dramatiq without confirms in the same run; over 1 is better.",
        "`make bench` measures it anew.",
        "",
        "| | " + " | ".join(system.name for system in SUITES[suite]) + " |",
        "|---" * (len(SUITES[suite]) + 1) + "|",
    ]
    for measure in (*MEASURES[suite], "cpu"):
        cells = [by_place[measure, system.name] for system in SUITES[suite]]
        label = f"{measure}, {cells[0]['unit']}"
        lines.append(f"| {label} | " + " | ".join(f"{_spread(row)} **{row['ratio']:.2f}**" for row in cells) + " |")
    return "\n".join([*lines, "", note, ""])


def _spread(row: dict[str, object]) -> str:
    return f"{row['median']:,} ({row['min']:,}-{row['max']:,})"


def show(suite: str, found: list[dict[str, object]], note: str) -> None:
    """Print a row a measure, a column a system."""
    by_place = {(row["measure"], row["system"]): row for row in found}
    table = Table("", *(system.name for system in SUITES[suite]), title=suite, caption=note)
    for measure in (*MEASURES[suite], "cpu"):
        cells = [by_place[measure, system.name] for system in SUITES[suite]]
        label = f"{measure}\n{cells[0]['unit']}"
        table.add_row(label, *(f"{_spread(row)}\n{row['ratio']:.2f} × plain" for row in cells), end_section=True)
    Console().print(table)


def main(
    suites: Annotated[list[str] | None, typer.Argument(help=f"any of {', '.join(SUITES)}; all by default")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="how often each trial is run")] = 5,
    count: Annotated[int, typer.Option(min=100, help="messages a trial")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="print the rows as JSON")] = False,
    write: Annotated[Path | None, typer.Option(help="also write the tables to Markdown files in this folder")] = None,
) -> None:
    """Measure plain Dramatiq and this project, in the same run."""
    chosen = suites or list(SUITES)
    unknown = [suite for suite in chosen if suite not in SUITES]
    if unknown:
        raise typer.BadParameter(f"no suite {unknown[0]!r}; there are {', '.join(SUITES)}")
    found, notes = {}, {}
    with services.rabbitmq(private=True) as server, services.redis(private=True) as store:
        for suite in chosen:
            found[suite] = rows(measure(server, store, suite, rounds, count))
            notes[suite] = conditions(server, store, rounds, count)
    for suite in chosen:
        if write is not None:
            (write / f"{suite}.md").write_text(markdown(suite, found[suite], notes[suite]))
        if not as_json:
            show(suite, found[suite], notes[suite])
    if as_json:
        print(json.dumps({suite: {"rows": found[suite], "conditions": notes[suite]} for suite in chosen}, indent=2))


if __name__ == "__main__":
    typer.run(main)
