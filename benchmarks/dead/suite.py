"""The suite ``dead``: the first page, the groups and a replay, with many dead letters."""

import json
import os
import platform
import subprocess
import sys
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path

import dramatiq
from rich.console import Console
from rich.progress import track

import services
from actors.brokers.nodes import Nodes
from actors.brokers.rabbitmq import RabbitmqBroker, RabbitmqOptions
from actors.brokers.topology import QueueType, Topology
from benchmarks.queues import delete_queues
from benchmarks.report import Report, Row, spread, summary, table
from middleware import Letter
from middleware.failure import Failure, Reason

ROOT = Path(__file__).parents[2]
ROUNDS = 1
LETTERS = 100_000
# Of how many a replay is measured: a tenth of the others.
PART = 10
CHUNK = 1_000
QUEUE = "bench"
# As long as a traceback of some ten frames is.
TRACEBACK = "Traceback (most recent call last):\n" + '  File "shop/tasks.py", line 12, in charge\n' * 15
ERRORS = ("ValueError", "TimeoutError", "GatewayBusy")

# In this order: after the groups all letters were in somebody's hand.
LOOKS = ("page", "groups", "page again")
TRIALS = {
    "page": "first page",
    "page again": "first page, after all were looked at",
    "groups": "groups of all",
    "replay": "replay",
}


def run(server: services.RabbitMQ, store: services.Redis, rounds: int, letters: int) -> Report:
    """Measure both queue types, *rounds* times."""
    samples: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    types: tuple[QueueType, ...] = ("quorum", "classic")
    plan = [(number, queue_type) for number in range(rounds) for queue_type in types]
    for number, queue_type in track(plan, "measuring: dead letters", console=Console(stderr=True)):
        for count, trials in ((letters, LOOKS), (letters // PART, ("replay",))):
            prefix = f"x{number}{queue_type[0]}{trials[0][0]}"
            bury(server.url, Topology(queue_type, prefix), count)
            env = {
                "ACTORS_BROKER_URL": server.url,
                "ACTORS_STORE_URL": store.url,
                "ACTORS_QUEUE_PREFIX": prefix,
                "ACTORS_QUEUE_TYPE": queue_type,
            }
            for trial in trials:
                found = operate(trial.split()[0], env)
                samples[queue_type, trial, "seconds"].append(found["seconds"])
                samples[queue_type, trial, "grew_mb"].append(found["grew_mb"])
                samples[queue_type, trial, "rate"].append(found["count"] / found["seconds"])
            delete_queues(server, f"{prefix}.")
    rows: list[Row] = [
        {"system": queue_type, "load": trial, "measure": name, **summary(values, 0 if name == "rate" else 2)}
        for (queue_type, trial, name), values in samples.items()
    ]
    note = conditions(server, rounds)
    return Report(rows, note, page(rows, letters, note))


def bury(url: str, topology: Topology, count: int) -> None:
    """Put *count* dead letters where workers put them."""
    options = RabbitmqOptions(Nodes([url]), topology, publish_timeout_s=120)
    broker = RabbitmqBroker(lambda: options, middleware=[])
    broker.declare_queue(QUEUE, ensure=True)
    for first in range(0, count, CHUNK):
        publications = []
        for number in range(first, min(first + CHUNK, count)):
            options_of_it = {"traceback": TRACEBACK, "retries": 5}
            message: dramatiq.Message[None] = dramatiq.Message(QUEUE, "noop", (number,), {}, options_of_it)
            failure = Failure(Reason.EXHAUSTED, ERRORS[number % len(ERRORS)], f"order {number} is refused")
            publications.append(broker.engine.bury(message.encode(), Letter.of(message, failure, queue=QUEUE)))
        refusals = broker.engine.publisher.publish(publications, 120)
        if refusals:
            raise RuntimeError(refusals[0].reason)
    broker.close()


def operate(name: str, env: dict[str, str]) -> dict[str, float]:
    """Run one operation in a process of its own, and return what it took."""
    command = [sys.executable, "-m", "benchmarks.dead.operator", name]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ | env, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{name} failed: {ended.stderr[-2000:]}")
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found


def page(rows: list[Row], letters: int, note: str) -> str:
    """Return a page with a row a queue type and trial."""
    cells = {(row["system"], row["load"], row["measure"]): spread(row) for row in rows}
    lines = [
        [
            f"{name}, {queue_type}",
            f"{letters // PART if trial == 'replay' else letters:,}",
            cells[queue_type, trial, "seconds"],
            cells[queue_type, trial, "rate"] if trial in ("groups", "replay") else "-",
            cells[queue_type, trial, "grew_mb"],
        ]
        for trial, name in TRIALS.items()
        for queue_type in ("quorum", "classic")
    ]
    paragraphs = [
        "# Dead letters",
        "Median (min-max). `python -m benchmarks dead` measures it anew.",
        "\n".join(table(["", "dead letters", "seconds", "letters/s", "memory grows by, MB"], lines)),
        note,
    ]
    return "\n\n".join(paragraphs) + "\n"


def conditions(server: services.RabbitMQ, rounds: int) -> str:
    """Return what the numbers depend on."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("dramatiq-once", "dramatiq", "pika"))
    times = "one round" if rounds == 1 else f"{rounds} rounds"
    return (
        f"{versions}, Python {platform.python_version()}, RabbitMQ {server.version}; {times}, letters with a traceback "
        f"of {len(TRACEBACK):,} characters, on {os.cpu_count()} cores that RabbitMQ shares. The time is that of the "
        "function, with its connections, and until all that it has looked at is back in its place; not in it is the "
        "start of Python. The memory is what the peak of the process grows by. A page has 50 letters. No worker runs "
        "while letters are replayed. Not measured: the memory of RabbitMQ; network latency; replication."
    )
