"""The suite ``delays``: memory and lateness beside plain Dramatiq and Celery, in interleaved rounds."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median

from rich.console import Console
from rich.progress import track

import services
from benchmarks.delays import hoard, lateness, memory
from benchmarks.delays.deployment import running
from benchmarks.delays.hoard import Hoard
from benchmarks.delays.lateness import Lateness
from benchmarks.delays.page import conditions, page
from benchmarks.delays.plan import Size
from benchmarks.delays.systems import OURS, PLAIN, System, celery_systems, install_celery
from benchmarks.queues import delete_queues
from benchmarks.report import Report, Row, summary
from benchmarks.systems import Servers
from services.warden import Warden

ROUNDS = 1
MESSAGES = 50_000

# By system, trial and measure: a value a round.
Samples = dict[tuple[str, str, str], list[float]]

MEMORY = "memory"
UNITS = {
    "p50": "ms",
    "p99": "ms",
    "max": "ms",
    "earliest": "ms",
    "lost": "messages",
    "again": "runs",
    "rate": "messages/s",
    "before_mb": "MB",
    "grew_mb": "MB",
    "kept": "messages",
    "soon_late_ms": "ms",
}
# Of these less is better, and the ratio to the baseline tells by how much.
COMPARED = ("p50", "p99", "max", "grew_mb")
LEAST_COMPARED = 0.1


def run(server: services.RabbitMQ, store: services.Redis, rounds: int, size: Size, *, celery: bool) -> Report:
    """Measure all systems, *rounds* times."""
    systems, absent = [PLAIN, OURS], []
    with Warden("celery") as warden:
        if celery:
            try:
                systems.extend(celery_systems(install_celery(warden.folder / "venv")))
            except RuntimeError as error:
                absent.append(f"Celery: not measured: {error}")
        trials = ["lateness", MEMORY]
        if not memory.IS_READABLE:
            trials.remove(MEMORY)
            absent.append("Memory: not measured: it is read from /proc, which only Linux has.")
        samples = measure(server, store, systems, trials, rounds, size)
    found = rows(samples)
    note = conditions(server, store, rounds, celery=len(systems) > 2)
    return Report(found, note, page(found, size, absent, note))


def measure(
    server: services.RabbitMQ,
    store: services.Redis,
    systems: Sequence[System],
    trials: Sequence[str],
    rounds: int,
    size: Size,
    *,
    prefix: str = "d",
) -> Samples:
    """Run all *trials* of all *systems*, each time in a new random order.

    The names of their queues start with *prefix*.
    """
    samples: Samples = defaultdict(list)
    all_trials = [(system, trial) for system in systems for trial in trials]
    plan = [each for _ in range(rounds) for each in random.sample(all_trials, len(all_trials))]
    for number, (system, trial) in enumerate(track(plan, "measuring: delays", console=Console(stderr=True))):
        servers = Servers(server.url, store.url, f"{prefix}{number}")
        for load, found in measured(system, trial, servers, server, size).items():
            for name, value in asdict(found).items():
                samples[system.name, load, name].append(value)
        # The worker may have made them anew.
        delete_queues(server, f"{servers.prefix}.")
    order = [system.name for system in systems]
    return dict(sorted(samples.items(), key=lambda sample: order.index(sample[0][0])))


def measured(
    system: System, trial: str, servers: Servers, server: services.RabbitMQ, size: Size
) -> Mapping[str, Hoard | Lateness]:
    """Run one trial with a worker of its own; return what was found, by load."""
    with running(system, servers) as deployment:
        found: Mapping[str, Hoard | Lateness]
        if trial == MEMORY:
            found = {MEMORY: hoard.measure(deployment, size.hoard, server, f"{servers.prefix}.")}
        else:
            found = {load: lateness.measure(deployment, plan) for load, plan in size.loads().items()}
        # RabbitMQ 3.10 is busy for half a minute when it puts the 8,000 messages of a killed worker back.
        delete_queues(server, f"{servers.prefix}.")
    return found


def rows(samples: Samples) -> list[Row]:
    """Return one row a system, load and measure; a ratio over 1 is better than the baseline."""
    return [
        {
            "system": system,
            "load": load,
            "measure": name,
            "unit": UNITS[name],
            **summary(values, 1 if UNITS[name] == "MB" else None),
            "ratio": _ratio(samples.get((PLAIN.name, load, name)), values) if name in COMPARED else None,
        }
        for (system, load, name), values in samples.items()
    ]


def _ratio(baseline: Sequence[float] | None, values: Sequence[float]) -> float | None:
    """Return the ratio of the medians; None without a baseline, or to next to nothing."""
    if baseline is None or median(values) < LEAST_COMPARED:
        return None
    return round(median(baseline) / median(values), 2)
