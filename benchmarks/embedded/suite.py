"""The suite ``embedded``: without a server, beside huey on SQLite and Dramatiq on Redis, in rounds of random order."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from rich.console import Console
from rich.progress import track

import services
from benchmarks.delays import memory
from benchmarks.embedded import machine, trials
from benchmarks.embedded.deployment import Deployment, deployed
from benchmarks.embedded.page import conditions, page
from benchmarks.embedded.systems import HUEY, OURS, REDIS, UNGUARDED, System, huey_systems
from benchmarks.embedded.trials import Rates, Waiting
from benchmarks.environments import install
from benchmarks.report import Report, Row, summary
from services.warden import Warden

ROUNDS = 5
MESSAGES = 10_000
# Decimals of measures that have some.
DIGITS = {"first_s": 2, "p50": 1, "p99": 1, "idle_percent": 2, "resident_mb": 1, "stop_s": 2}

# By system and measure: a value a round.
Samples = dict[tuple[str, str], list[float]]


@dataclass(frozen=True)
class Trial:
    """One measurement of *system*."""

    system: System
    measure: Callable[[Deployment], Rates | Waiting]


def run(store: services.Redis, rounds: int, messages: int, *, huey: bool) -> Report:
    """Measure all systems with *messages* jobs, *rounds* times."""
    if not memory.IS_READABLE:
        raise RuntimeError("CPU and memory are read from /proc, which only Linux has")
    systems, absent = [OURS, UNGUARDED, REDIS], []
    with Warden("huey") as warden:
        sync_ms = machine.sync_ms(warden.folder)
        if huey:
            try:
                systems[2:2] = huey_systems(install(f"huey=={HUEY}", warden.folder / "venv"))
            except RuntimeError as error:
                absent.append(f"Huey: not measured: {error}")
        loads: list[float] = []
        samples = measure(systems, store, rounds, messages, loads=loads)
    found = rows(samples)
    note = conditions(store, rounds, messages, loads, sync_ms, huey=len(systems) > len((OURS, UNGUARDED, REDIS)))
    return Report(found, note, page(found, absent, note))


def measure(
    systems: Sequence[System], store: services.Redis | None, rounds: int, messages: int, *, loads: list[float]
) -> Samples:
    """Run all trials, each time in a new random order; note in *loads* how busy the machine was before each."""
    samples: Samples = defaultdict(list)
    all_trials = list(trials_of(systems, messages))
    plan = [each for _ in range(rounds) for each in random.sample(all_trials, len(all_trials))]
    for trial in track(plan, "measuring: embedded", console=Console(stderr=True)):
        loads.append(machine.load())
        with deployed(trial.system, store) as deployment:
            found = trial.measure(deployment)
        for name, value in asdict(found).items():
            if value is not None:
                samples[trial.system.name, name].append(value)
    order = [system.name for system in systems]
    return dict(sorted(samples.items(), key=lambda sample: order.index(sample[0][0])))


def trials_of(systems: Sequence[System], messages: int) -> Iterator[Trial]:
    for system in systems:
        yield Trial(system, partial(trials.rates, messages=messages))
        yield Trial(system, trials.waiting)


def rows(samples: Samples) -> list[Row]:
    """Return one row a system and measure."""
    return [
        {"system": system, "measure": name, **summary(values, DIGITS.get(name))}
        for (system, name), values in samples.items()
    ]
