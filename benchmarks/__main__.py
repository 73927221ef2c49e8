"""``make bench``: enqueue and drain rates beside plain Dramatiq, in interleaved rounds."""

import json
import platform
import random
import subprocess
import sys
from importlib.metadata import version
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
        f"{versions}, Python {platform.python_version()}, RabbitMQ {server.version}; {rounds} rounds of {count:,} no-op "
        "messages in random order, one worker process with 8 threads, one node on the same machine. "
        "Not measured: network latency, replication, payloads over 100 bytes."
    )


def main(
    rounds: Annotated[int, typer.Option(min=1, help="how often each trial is run")] = 5,
    count: Annotated[int, typer.Option(min=100, help="messages a trial")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="print the rows as JSON")] = False,
) -> None:
    """Measure enqueue and drain rates of plain Dramatiq and of this project, in the same run."""
    with services.rabbitmq(private=True) as server:
        found = rows(measure(server, rounds, count))
        note = conditions(server, rounds, count)
    if as_json:
        print(json.dumps({"rows": found, "conditions": note}, indent=2))
        return
    table = Table("system", "measure", "median (min-max)", "unit", "ratio to plain", caption=note)
    for row in found:
        spread = f"{row['median']:,} ({row['min']:,}-{row['max']:,})"
        table.add_row(str(row["system"]), str(row["measure"]), spread, str(row["unit"]), f"{row['ratio']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
