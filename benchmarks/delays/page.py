"""The page docs/benchmarks/delays.md."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version

import services
from benchmarks.delays.plan import Size
from benchmarks.delays.systems import CELERY
from benchmarks.report import Row, spread, table

LATENESS = {
    "p50": "p50, ms",
    "p99": "p99, ms",
    "max": "max, ms",
    "earliest": "earliest, ms",
    "lost": "lost",
    "again": "run again",
    "rate": "sent/s",
}
MEMORY = {
    "before_mb": "before, MB",
    "grew_mb": "grows by, MB",
    "kept": "messages kept in the worker",
    "soon_late_ms": "a delay of 1 s after them, ms late",
}


def page(found: Sequence[Row], size: Size, absent: Sequence[str], note: str) -> str:
    """Return a page with a table a load and a row a system; *absent* are lines on what is not in it."""
    paragraphs = [
        "# Beside plain Dramatiq and Celery: delays",
        "Median (min-max), and in bold the ratio to plain Dramatiq in the same run; over 1 is better. "
        "`python -m benchmarks delays` measures it anew.",
        *absent,
        "## How late a delayed message runs",
        f"From when it is due to the start of its actor, of {size.steady:,} messages sent at a steady {size.rate:g} a "
        f"second, with delays of 1 to {size.latest_s:g} s:",
        _table(found, "steady", LATENESS),
        f"Of {size.light:,} messages sent at {size.light_rate:g} a second, with delays of 1 to {size.light_latest_s:g} "
        "s, which leave the machine idle for most of the time:",
        _table(found, "light", LATENESS),
        f"And of {size.burst:,} messages that are all due within one second:",
        _table(found, "burst", LATENESS),
        "## What waiting messages cost a worker",
        f"{size.hoard:,} messages are delayed by 10 minutes: the memory of the worker and all its processes before "
        "they are sent, and by how much it grows at most until it is at rest, or for 10 s after the last. "
        "The messages that it keeps are delivered and not acked. At last one message is sent with a delay of 1 s; "
        "10,000 ms late means that it did not run within 10 s.",
        _table(found, "memory", MEMORY),
        note,
    ]
    return "\n\n".join(paragraphs) + "\n"


def _table(found: Sequence[Row], load: str, columns: dict[str, str]) -> str:
    by_place = {(row["system"], row["measure"]): row for row in found if row["load"] == load}
    systems = dict.fromkeys(system for system, _ in by_place)
    lines = [[str(system), *(_cell(by_place[system, measure]) for measure in columns)] for system in systems]
    return "\n".join(table(["", *columns.values()], lines))


def _cell(row: Row) -> str:
    return spread(row) if row["ratio"] is None else f"{spread(row)} **{row['ratio']:.2f}**"


def conditions(server: services.RabbitMQ, store: services.Redis, rounds: int, *, celery: bool) -> str:
    """Return what the numbers depend on."""
    versions = [f"{name} {version(name)}" for name in ("dramatiq-once", "dramatiq", "pika")]
    versions += [f"celery {CELERY}"] if celery else []
    times = "one round" if rounds == 1 else f"{rounds} rounds"
    return (
        f"{', '.join(versions)}, Python {platform.python_version()}, RabbitMQ {server.version}, Redis {store.version}; "
        f"{times} in random order, one worker with 8 threads (Celery by default: a process for each core), no-op jobs, "
        f"on {os.cpu_count()} cores that the servers, the worker and the sender share. Every system has its own "
        "default settings; ours alone waits for RabbitMQ's confirm of each message. The memory is the sum of "
        "proportional set sizes, so that what processes share counts once. Not measured: the memory of RabbitMQ, where "
        "our messages wait; network latency; replication; clocks that differ between hosts; what comes after a restart "
        "of RabbitMQ."
    )
