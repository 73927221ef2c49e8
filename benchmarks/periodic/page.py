"""The page docs/benchmarks/periodic.md."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version

import services
from benchmarks.delays.systems import CELERY
from benchmarks.periodic.plan import RATE, Plan
from benchmarks.periodic.trials import KILLS, STEADY_S
from benchmarks.report import Row, ratio, spread, table

BASELINE = "APScheduler"
# What is told of each system, under which load, and whether more is better.
COLUMNS = {
    ("ceiling", "ceiling"): ("most ticks/s", True),
    ("steady", "rate"): ("ticks/s of 500", True),
    ("steady", "p50"): ("p50, ms late", False),
    ("steady", "p99"): ("p99, ms late", False),
    ("steady", "max"): ("max, ms late", False),
    ("steady", "start_s"): ("start, s", False),
    ("steady", "cpu_us"): ("CPU µs a tick", False),
    ("steady", "resident_mb"): ("memory, MB", False),
}


def page(found: Sequence[Row], schedules: int, absent: Sequence[str], note: str) -> str:
    """Return a page with a row a system; *absent* are lines on what is not in it."""
    paragraphs = [
        "# Beside APScheduler and Celery beat: schedules",
        f"Median (min-max), and in bold the ratio to {BASELINE} in the same run; over 1 is better. "
        "`python -m benchmarks periodic` measures it anew.",
        *absent,
        "## Many schedules",
        f"{schedules:,} schedules whose jobs each put one persistent message into a quorum queue, with RabbitMQ's "
        f"confirm. They have 500 ticks a second in all, evenly spread, of which {STEADY_S:g} s are measured. How late "
        "a message is, counts from when its tick was due until it comes to a consumer; where that is longer than the "
        f"interval of {Plan(schedules, RATE).every.total_seconds():g} s, or fewer than 500 come a second, it says "
        "nothing. The start is that of the process, until the first message comes. Most is what is enqueued where "
        "10,000 ticks a second are wanted.",
        _comparison(found),
        "## Failover",
        f"A leader is killed (SIGKILL) {KILLS} times with others standing by, at 500 ticks a second: the time without "
        "a message.",
        _failovers(found),
        note,
    ]
    return "\n\n".join(paragraphs) + "\n"


def _comparison(found: Sequence[Row]) -> str:
    by_place = {(row["system"], (row["load"], row["measure"])): row for row in found}
    systems = dict.fromkeys(row["system"] for row in found if row["load"] == "steady")
    lines = []
    for system in systems:
        cells = [str(system)]
        for place, (_, more) in COLUMNS.items():
            row, base = by_place[system, place], by_place.get((BASELINE, place))
            cells.append(f"{spread(row)}{ratio(row, base, more=more)}")
        lines.append(cells)
    return "\n".join(table(["", *(name for name, _ in COLUMNS.values())], lines))


def _failovers(found: Sequence[Row]) -> str:
    cells: dict[str, list[str]] = {}
    for row in found:
        if str(row["load"]).startswith("failover"):
            cells.setdefault(str(row["load"]).removeprefix("failover, "), []).append(spread(row))
    return "\n".join(table(["schedules", "p50, ms", "max, ms"], [[count, *each] for count, each in cells.items()]))


def conditions(server: services.RabbitMQ, rounds: int, *, celery: bool) -> str:
    """Return what the numbers depend on."""
    names = ("dramatiq-once", "dramatiq", "pika", "apscheduler")
    versions = ", ".join([*(f"{name} {version(name)}" for name in names), *([f"celery {CELERY}"] if celery else [])])
    times = "one round" if rounds == 1 else f"{rounds} rounds"
    return (
        f"{versions}, Python {platform.python_version()}, RabbitMQ {server.version}; {times} in random order, on "
        f"{os.cpu_count()} cores that RabbitMQ, the scheduler and the consumer share. Every system has its own "
        "default settings, but for Celery's confirms. Ours writes one frame to two queues and waits for its confirm "
        "before the next, because the order is what no fault may break; APScheduler has ten threads that each wait for "
        "one, forgets all when it ends, and leaves out ticks that are more than 1 s late; Celery beat counts an "
        "interval from when it last sent. Neither has a second process to take over, so no failover of theirs is "
        "measured. Not measured: cron expressions; workers; the memory of RabbitMQ; network latency; replication."
    )
