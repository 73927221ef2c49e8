"""The page docs/benchmarks/embedded.md."""

import os
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from statistics import median

import services
from benchmarks.embedded.sending import RATE
from benchmarks.embedded.systems import HUEY
from benchmarks.report import Row, ratio, spread, table

BASELINE = "huey"
# What is told of each system, and whether more is better.
RATES = {
    "enqueue": ("enqueue, jobs/s", True),
    "enqueue_many": ("enqueue many, jobs/s", True),
    "drain": ("drain, jobs/s", True),
    "cpu_us": ("CPU µs a job", False),
}
WAITING = {
    "p50": ("p50, ms", False),
    "p99": ("p99, ms", False),
    "idle_percent": ("idle CPU, %", False),
    "resident_mb": ("memory, MB", False),
    "first_s": ("to the first job, s", False),
    "stop_s": ("to stop, s", False),
}
Columns = Mapping[str, tuple[str, bool]]


def page(found: Sequence[Row], absent: Sequence[str], note: str) -> str:
    """Return a page with a row a system; *absent* are lines on what is not in it."""
    paragraphs = [
        "# Beside huey on SQLite and Dramatiq on Redis: without a server",
        f"Median (min-max), and in bold the ratio to {BASELINE} as it is by default in the same run; over 1 is better. "
        "`python -m benchmarks embedded` measures it anew.",
        *absent,
        "## Rates",
        "Jobs that do nothing. They are enqueued by one thread of one process, each once the one before is there; "
        "and drained by one worker process with 8 threads, from the start of the first job to that of the last. The "
        "CPU is that of this process.",
        _table(found, RATES),
        "## Waiting",
        f"From before a job is sent until it starts, at {RATE} jobs a second; a worker that has nothing to do; from "
        "its command to the start of the first of the jobs that wait for it, and from SIGTERM to its end. CPU and "
        "memory are those of all its processes.",
        _table(found, WAITING),
        note,
    ]
    return "\n\n".join(paragraphs) + "\n"


def _table(found: Sequence[Row], columns: Columns) -> str:
    by_place = {(row["system"], str(row["measure"])): row for row in found}
    systems = dict.fromkeys(str(row["system"]) for row in found)
    lines = []
    for system in systems:
        cells = [system]
        for measure, (_, more) in columns.items():
            row, base = by_place.get((system, measure)), by_place.get((BASELINE, measure))
            cells.append("-" if row is None else f"{spread(row)}{ratio(row, base, more=more)}")
        lines.append(cells)
    return "\n".join(table(["", *(name for name, _ in columns.values())], lines))


def conditions(
    store: services.Redis, rounds: int, messages: int, loads: Sequence[float], sync_ms: float, *, huey: bool
) -> str:
    """Return what the numbers depend on."""
    versions = ", ".join([*(f"{name} {version(name)}" for name in ("dramatiq-once", "dramatiq", "redis"))])
    return (
        f"{versions}{f', huey {HUEY}' if huey else ''}, Python {platform.python_version()}, SQLite "
        f"{sqlite3.sqlite_version}, Redis {store.version}; {rounds} rounds in random order of {messages:,} jobs, of "
        f"{messages // 5:,} where each waits for the disk, on {os.cpu_count()} cores that worker, sender and Redis "
        f"share. {_busy(loads)} The files are on a disk on which an fsync of 4 KB takes {sync_ms:.1f} ms. Every system "
        "has its own default settings, and logs to a file what it logs by default: ours a line a job, huey two, "
        "Dramatiq none.\n\n"
        "By default huey leaves it to SQLite when to sync, which is with each commit: one to enqueue a job, and one to "
        "take it. With `fsync=False` a power cut loses what the kernel has not written by then, and can leave a "
        "corrupt file. A job that huey has taken is gone from the file before it runs, and lost when its worker is "
        "killed; ours, and Dramatiq's on Redis, then goes to another. Ours is kept until its outcome is on the disk, "
        "and synced in batches. Redis runs with `appendfsync always`, so that what it has confirmed survives a power "
        "cut, too.\n\n"
        "Not measured: more than one worker process on a file; jobs that work; large arguments; results that are "
        "waited for; delays and schedules; other file systems."
    )


def _busy(loads: Sequence[float]) -> str:
    return (
        f"The load was {median(loads):.1f} ({min(loads):.1f}-{max(loads):.1f}) processes before a trial, the "
        "benchmark's own included."
    )
