"""The suite ``periodic``: many schedules beside APScheduler and Celery beat, in rounds of random order."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from rich.console import Console
from rich.progress import track

import services
from benchmarks.delays import memory
from benchmarks.delays.systems import install_celery
from benchmarks.periodic import trials
from benchmarks.periodic.deployment import Deployment, deployed
from benchmarks.periodic.page import conditions, page
from benchmarks.periodic.plan import FLOOD, RATE, Plan
from benchmarks.periodic.systems import APSCHEDULER, OURS, System, celery_beat
from benchmarks.periodic.trials import Ceiling, Failover, Steady
from benchmarks.report import Report, Row, summary
from services.warden import Warden

ROUNDS = 1
SCHEDULES = 10_000
# Measures with a decimal.
TENTHS = ("start_s", "resident_mb")

# By system, load and measure: a value a round.
Samples = dict[tuple[str, str, str], list[float]]


@dataclass(frozen=True)
class Trial:
    """One measurement of *system* with the schedules of *plan*; *load* is what it is called in rows."""

    system: System
    load: str
    plan: Plan
    measure: Callable[[Deployment], Steady | Ceiling | Failover]


def run(server: services.RabbitMQ, rounds: int, schedules: int, *, celery: bool) -> Report:
    """Measure all systems with so many *schedules*, *rounds* times."""
    if not memory.IS_READABLE:
        raise RuntimeError("CPU and memory are read from /proc, which only Linux has")
    systems, absent = [OURS, APSCHEDULER], []
    with Warden("celery") as warden:
        if celery:
            try:
                systems.append(celery_beat(install_celery(warden.folder / "venv")))
            except RuntimeError as error:
                absent.append(f"Celery beat: not measured: {error}")
        samples = measure(server, systems, rounds, schedules)
    found = rows(samples)
    note = conditions(server, rounds, celery=len(systems) > 2)
    return Report(found, note, page(found, schedules, absent, note))


def measure(
    server: services.RabbitMQ, systems: Sequence[System], rounds: int, schedules: int, *, prefix: str = "p"
) -> Samples:
    """Run all trials, each time in a new random order; the names of their queues start with *prefix*."""
    samples: Samples = defaultdict(list)
    all_trials = list(trials_of(systems, schedules))
    plan = [each for _ in range(rounds) for each in random.sample(all_trials, len(all_trials))]
    for number, trial in enumerate(track(plan, "measuring: periodic", console=Console(stderr=True))):
        with deployed(trial.system, trial.plan, server, f"{prefix}{number}") as deployment:
            found = trial.measure(deployment)
        for name, value in asdict(found).items():
            samples[trial.system.name, trial.load, name].append(value)
    order = [trial.system.name + trial.load for trial in all_trials]
    return dict(sorted(samples.items(), key=lambda sample: order.index(sample[0][0] + sample[0][1])))


def trials_of(systems: Sequence[System], schedules: int) -> Iterator[Trial]:
    for system in systems:
        plan = Plan(schedules, RATE)
        yield Trial(system, "steady", plan, partial(trials.steady, plan=plan))
        yield Trial(system, "ceiling", Plan(schedules, FLOOD), trials.ceiling)
    for count in sorted({min(10, schedules), min(1_000, schedules), schedules}):
        yield Trial(OURS, f"failover, {count:,}", Plan(count, RATE), trials.failover)


def rows(samples: Samples) -> list[Row]:
    """Return one row a system, load and measure."""
    return [
        {"system": system, "load": load, "measure": name, **summary(values, 1 if name in TENTHS else None)}
        for (system, load, name), values in samples.items()
    ]
