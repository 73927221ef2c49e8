"""The suites ``broker`` and ``idempotency``: enqueue and drain rates beside plain Dramatiq, in interleaved rounds."""

import json
import os
import platform
import random
import subprocess
import sys
from importlib.metadata import version
from statistics import median

from rich.console import Console
from rich.progress import track

import services
from benchmarks.queues import delete_queues
from benchmarks.report import Report, Row, spread, summary, table
from benchmarks.systems import PLAIN, SUITES, Servers, System
from benchmarks.trial import SENDS

Samples = dict[str, dict[str, list[float]]]

ROUNDS = 5
MESSAGES = 10_000

# What is measured in each suite; a drain also measures its CPU.
MEASURES = {"broker": (*SENDS, "drain"), "idempotency": ("drain",)}


def run(suite: str, server: services.RabbitMQ, store: services.Redis, rounds: int, count: int) -> Report:
    """Measure all systems of *suite* with *count* messages a trial."""
    found = rows(measure(server, store, suite, rounds, count))
    note = conditions(server, store, rounds, count)
    return Report(found, note, page(suite, found, note))


def trial(system: System, what: str, servers: Servers, count: int) -> dict[str, float]:
    """Return seconds a message, by what was measured."""
    arguments = [system.name, what, servers.broker_url, servers.store_url, servers.prefix, str(count)]
    command = [sys.executable, "-m", "benchmarks.trial", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=400)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


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


def rows(samples: Samples) -> list[Row]:
    """Return one row a system and measure; a ratio over 1 is better than the baseline."""
    return [
        {
            "system": system,
            "measure": name,
            "unit": "CPU µs a message" if name == "cpu" else "messages/s",
            **summary([value * 1e6 if name == "cpu" else 1 / value for value in values]),
            "ratio": round(median(samples[PLAIN.name][name]) / median(values), 2),
        }
        for system, measured in samples.items()
        for name, values in sorted(measured.items())
    ]


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


def page(suite: str, found: list[Row], note: str) -> str:
    """Return a page with a row a measure and a column a system."""
    by_place = {(row["measure"], row["system"]): row for row in found}
    lines = []
    for measure in (*MEASURES[suite], "cpu"):
        cells = [by_place[measure, system.name] for system in SUITES[suite]]
        label = f"{measure}, {cells[0]['unit']}"
        lines.append([label, *(f"{spread(row)} **{row['ratio']:.2f}**" for row in cells)])
    return "\n".join(
        [
            f"# Beside plain Dramatiq: {suite}",
            "",
            "Median (min-max), and in bold the ratio to plain Dramatiq without confirms in the same run; "
            "over 1 is better.",
            "`make bench` measures it anew.",
            "",
            *table(["", *(system.name for system in SUITES[suite])], lines),
            "",
            note,
            "",
        ]
    )
