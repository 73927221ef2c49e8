"""The suite ``observability``: how fast a worker drains its queue, whatever it tells, in rounds of random order."""

import os
import platform
import random
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version

from rich.console import Console
from rich.progress import track

import services
from benchmarks.embedded import machine, trials
from benchmarks.embedded.deployment import deployed
from benchmarks.observability.systems import BARE, systems
from benchmarks.report import Report, Row, ratio, spread, summary, table
from services.ports import free_port

ROUNDS = 7
MESSAGES = 20_000
SCRAPE_EVERY_S = 1.0

MEASURES = {"drain": ("drain, jobs/s", True), "cpu_us": ("CPU µs a job", False)}
Samples = dict[tuple[str, str], list[float]]


def run(server: services.RabbitMQ, store: services.Redis, rounds: int, messages: int) -> Report:
    """Measure all systems with *messages* jobs, *rounds* times."""
    loads: list[float] = []
    found = rows(measure(server, store, rounds, messages, loads=loads))
    note = conditions(server, store, rounds, messages, loads)
    return Report(found, note, page(found, note))


def measure(
    server: services.RabbitMQ, store: services.Redis, rounds: int, messages: int, *, loads: list[float]
) -> Samples:
    """Run all trials, each time in a new random order; note in *loads* how busy the machine was before each."""
    address = f"127.0.0.1:{free_port()}"
    everyone = systems(address, server, store)
    samples: Samples = defaultdict(list)
    plan = [each for _ in range(rounds) for each in random.sample(everyone, len(everyone))]
    for system in track(plan, "measuring: observability", console=Console(stderr=True)):
        loads.append(machine.load())
        with deployed(system, store) as deployment, scraped(address if "tells all" in system.name else None):
            found = trials.rates(deployment, messages)
            deployment.stop()
        samples[system.name, "drain"].append(found.drain)
        samples[system.name, "cpu_us"].append(found.cpu_us)
    order = [system.name for system in everyone]
    return dict(sorted(samples.items(), key=lambda sample: order.index(sample[0][0])))


@contextmanager
def scraped(address: str | None) -> Iterator[None]:
    """Ask for the metrics and both probes at *address* each second, as long as the block runs."""
    over = threading.Event()

    def scrape() -> None:
        while not over.wait(SCRAPE_EVERY_S):
            for path in ("/metrics", "/live", "/ready"):
                try:
                    urllib.request.urlopen(f"http://{address}{path}", timeout=SCRAPE_EVERY_S).read()
                except (OSError, urllib.error.HTTPError):
                    time.sleep(0)  # it has not started, or ends

    thread = threading.Thread(target=scrape)
    if address is not None:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if address is not None:
            thread.join()


def rows(samples: Samples) -> list[Row]:
    """Return one row a system and measure."""
    return [{"system": system, "measure": name, **summary(values)} for (system, name), values in samples.items()]


def page(found: Sequence[Row], note: str) -> str:
    """Return a page with a row a system."""
    by_place = {(str(row["system"]), str(row["measure"])): row for row in found}
    lines = []
    for system in dict.fromkeys(str(row["system"]) for row in found):
        base = f"{system.partition(':')[0]}: {BARE}"
        cells = [
            f"{spread(by_place[system, name])}{ratio(by_place[system, name], by_place[base, name], more=more)}"
            for name, (_, more) in MEASURES.items()
        ]
        lines.append([system, *cells])
    return "\n".join(
        [
            "# What it costs to be told of everything",
            "",
            "Median (min-max), and in bold the ratio to a worker that tells nothing, in the same run; over 1 is "
            "better. `python -m benchmarks observability` measures it anew.",
            "",
            *table(["", *(name for name, _ in MEASURES.values())], lines),
            "",
            note,
            "",
        ]
    )


def conditions(
    server: services.RabbitMQ, store: services.Redis, rounds: int, messages: int, loads: Sequence[float]
) -> str:
    """Return what the numbers depend on."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("dramatiq-once", "dramatiq", "prometheus-client"))
    return (
        f"{versions}, Python {platform.python_version()}, RabbitMQ {server.version}, Redis {store.version}; {rounds} "
        f"rounds in random order of {messages:,} jobs that do nothing, with a key each, one worker process with 8 "
        f"threads, on {os.cpu_count()} cores that all share. The load was {max(loads):.1f} processes at most before a "
        "trial.\n\n"
        '"Tells nothing" is the same worker without the middleware that only tells what happens, and without logs. '
        '"Logs" writes a line of JSON a job, to a file, and counts for itself. "Tells all" also shares its metrics, '
        "and answers `/metrics`, `/live` and `/ready`, each of which is asked for once a second; nobody follows "
        "its events. No OpenTelemetry SDK is in use: what spans cost is up to that. The aim is 0.9."
    )
