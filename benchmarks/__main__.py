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
from benchmarks.systems import BASELINE, SYSTEMS
from benchmarks.trial import SENDS

Samples = dict[str, dict[str, list[float]]]


def trial(system: str, what: str, url: str, prefix: str, count: int) -> dict[str, float]:
    """Return seconds a message, by what was measured."""
    command = [sys.executable, "-m", "benchmarks.trial", system, what, url, prefix, str(count)]
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


def measure(server: services.RabbitMQ, rounds: int, count: int) -> Samples:
    """Run all trials *rounds* times, in a new random order each round."""
    samples: Samples = {system: {} for system in SYSTEMS}
    trials = [(system, what) for system in SYSTEMS for what in (*SENDS, "drain")]
    plan = [each for _ in range(rounds) for each in random.sample(trials, len(trials))]
    for number, (system, what) in enumerate(track(plan, "measuring", console=Console(stderr=True))):
        one_by_one = what.startswith("send") and what != "send many" and system != BASELINE
        measured = trial(system, what, server.url, f"b{number}", count // 5 if one_by_one else count)
        for name, seconds in measured.items():
            samples[system].setdefault(name, []).append(seconds)
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
            "ratio": round(median(samples[BASELINE][name]) / median(values), 2),
        }
        for system, measured in samples.items()
        for name, values in sorted(measured.items())
    ]


def _summary(values: list[float]) -> dict[str, float]:
    return {"median": round(median(values)), "min": round(min(values)), "max": round(max(values))}


def conditions(server: services.RabbitMQ, rounds: int, count: int) -> str:
    """Return what the numbers depend on."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("dramatiq-once", "dramatiq", "pika"))
    return (
        f"{versions}, Python {platform.python_version()}, RabbitMQ {server.version}; {rounds} rounds of {count:,} "
        f"no-op messages in random order, one worker process with 8 threads, on {os.cpu_count()} cores that RabbitMQ "
        "shares. Every system has its own default middleware. "
        "Not measured: network latency, replication, payloads over 100 bytes."
    )


def markdown(found: list[dict[str, object]], note: str) -> str:
    """Return the table of docs/benchmarks/broker.md: a row a measure, a column a system."""
    by_place = {(row["measure"], row["system"]): row for row in found}
    lines = [
        "# Beside plain Dramatiq",
        "",
        "Median (min-max), and in bold the ratio to plain Dramatiq without confirms in the same run; over 1 is better.",
        "`make bench` measures it anew.",
        "",
        "| | " + " | ".join(SYSTEMS) + " |",
        "|---" * (len(SYSTEMS) + 1) + "|",
    ]
    for measure in (*SENDS, "drain", "cpu"):
        cells = [by_place[measure, system] for system in SYSTEMS]
        label = f"{measure}, {cells[0]['unit']}"
        lines.append(f"| {label} | " + " | ".join(f"{_spread(row)} **{row['ratio']:.2f}**" for row in cells) + " |")
    return "\n".join([*lines, "", note, ""])


def _spread(row: dict[str, object]) -> str:
    return f"{row['median']:,} ({row['min']:,}-{row['max']:,})"


def show(found: list[dict[str, object]], note: str) -> None:
    """Print a row a measure, a column a system."""
    by_place = {(row["measure"], row["system"]): row for row in found}
    table = Table("", *SYSTEMS, caption=note)
    for measure in (*SENDS, "drain", "cpu"):
        cells = [by_place[measure, system] for system in SYSTEMS]
        label = f"{measure}\n{cells[0]['unit']}"
        table.add_row(label, *(f"{_spread(row)}\n{row['ratio']:.2f} × plain" for row in cells), end_section=True)
    Console().print(table)


def main(
    rounds: Annotated[int, typer.Option(min=1, help="how often each trial is run")] = 5,
    count: Annotated[int, typer.Option(min=100, help="messages a trial")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="print the rows as JSON")] = False,
    write: Annotated[Path | None, typer.Option(help="also write the table to this Markdown file")] = None,
) -> None:
    """Measure enqueue and drain rates of plain Dramatiq and of this project, in the same run."""
    with services.rabbitmq(private=True) as server:
        found = rows(measure(server, rounds, count))
        note = conditions(server, rounds, count)
    if write is not None:
        write.write_text(markdown(found, note))
    if as_json:
        print(json.dumps({"rows": found, "conditions": note}, indent=2))
    else:
        show(found, note)


if __name__ == "__main__":
    typer.run(main)
