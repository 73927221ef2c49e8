"""A deployment, as commands print it: rows of tables, or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.text import Text

from actors.cli.records import duration, moment, printable
from actors.cli.standing import standing_as_json
from actors.dev.view import took_in_words
from actors.fleet.deployment import Deployment, Problem, QueueState, Worker
from actors.fleet.report import ActorWork, Running

WORKERS = ("worker", "state", "heard", "running", "/s", "done", "failed", "in hand", "MiB", "up", "version")
QUEUES = ("queue", "ready", "in hand", "delayed", "dead", "consumers")
ACTORS = ("actor", "/s", "last minute", "took", "ended", "failed")
PROBLEMS = ("problem", "of", "what")

STYLES = {"consuming": "green", "draining": "yellow", "paused": "bold red", "silent": "bold red"}
LEVELS = {"error": "bold red", "warning": "yellow"}
ID_LENGTH = 8
# So many of what a worker runs are named in its row.
MOST_NAMED = 3


def deployment_as_json(seen: Deployment) -> dict[str, Any]:
    """Return *seen* in JSON's types, its times as ISO 8601."""
    return {
        "now": moment(seen.at),
        "ok": not any(each.level == "error" for each in seen.problems),
        "workers": None if seen.workers is None else [_worker_as_json(each, seen.at) for each in seen.workers],
        "queues": None if seen.queues is None else list(map(asdict, seen.queues)),
        "delayed": seen.delayed,
        "schedulers": None if seen.schedulers is None else standing_as_json(seen.schedulers),
        "rates": {"per_s": seen.per_s, "per_s_minute": seen.per_s_minute, "outcomes": dict(seen.outcomes)},
        "actors": {name: asdict(work) for name, work in seen.actors.items()},
        "problems": list(map(asdict, seen.problems)),
    }


def worker_row(worker: Worker) -> tuple[str | Text, ...]:
    """Return *worker* as a row under ``WORKERS``."""
    report = worker.report
    silent = worker.is_silent
    return (
        printable(f"{report.host}:{report.pid}"),
        Text(worker.state, style=STYLES[worker.state]),
        f"{duration(worker.age_ms // 1000 * 1000) if worker.age_ms >= 1000 else '0s'} ago",
        ("was: " if silent and report.running else "") + running_in_words(worker),
        "-" if silent else f"{report.per_s:,.1f}",
        f"{report.outcomes.get('done', 0):,}",
        f"{report.failed:,}",
        f"{sum(report.in_hand.values()):,}" if report.in_hand else "-",
        f"{report.memory_mib:,.0f}",
        duration(worker.ran_for_ms(report.started)),
        printable(report.version or "-"),
    )


def running_in_words(worker: Worker) -> str:
    """Return what *worker* runs, that which has run for longest first."""
    there = sorted(worker.report.running, key=lambda each: each.since)
    named = [_running_in_words(each, worker.ran_for_ms(each.since)) for each in there[:MOST_NAMED]]
    more = len(there) - MOST_NAMED
    return "; ".join([*named, f"and {more} more"] if more > 0 else named) or "-"


def queue_row(queue: QueueState) -> tuple[str | Text, ...]:
    """Return *queue* as a row under ``QUEUES``."""
    return (
        printable(queue.name),
        Text(f"{queue.ready:,}", style="bold red" if queue.is_unattended else ""),
        f"{queue.in_hand:,}",
        "-" if queue.delayed is None else f"{queue.delayed:,}",
        Text(f"{queue.dead:,}", style="red" if queue.dead else ""),
        f"{queue.consumers:,}",
    )


def actor_row(name: str, work: ActorWork) -> tuple[str | Text, ...]:
    """Return the *work* of the actor *name* as a row under ``ACTORS``."""
    return (
        printable(name),
        f"{work.per_s:,.1f}",
        f"{work.minute:,}",
        took_in_words(work.mean_ms) if work.minute else "-",
        f"{work.ended:,}",
        Text(f"{work.failed:,}", style="red" if work.failed else ""),
    )


def problem_row(problem: Problem) -> tuple[str | Text, ...]:
    """Return *problem* as a row under ``PROBLEMS``."""
    what = Text(printable(problem.what))
    if problem.advice:
        what.append(f"\n→ {problem.advice}", style="dim")
    return Text(problem.level, style=LEVELS[problem.level]), printable(problem.subject), what


def totals(seen: Deployment) -> str:
    """Return rates and counts of all workers together, as a line."""
    counts = ", ".join(f"{outcome} {count:,}" for outcome, count in sorted(seen.outcomes.items()))
    return (
        f"{seen.per_s:,.1f} attempts/s in the last 10 s, {seen.per_s_minute:,.1f}/s in the last minute"
        f"{f'; since their workers started: {counts}' if counts else ''}"
    )


def longest(seen: Deployment) -> Iterator[tuple[Worker, Running]]:
    """Yield what runs, and where, that which has run for longest first."""
    there = [(each, running) for each in seen.workers or () for running in each.report.running]
    yield from sorted(there, key=lambda each: -each[0].ran_for_ms(each[1].since))


def _running_in_words(running: Running, ran_ms: int) -> str:
    attempt = f", attempt {running.attempt}" if running.attempt > 1 else ""
    return f"{printable(running.actor)} {printable(running.message_id[:ID_LENGTH])} for {duration(ran_ms)}{attempt}"


def _worker_as_json(worker: Worker, now: int) -> dict[str, Any]:
    told = asdict(worker.report)
    started, running = told.pop("started"), told.pop("running")
    for name in ("at", "every_ms", "keep_ms", "is_followed"):
        del told[name]
    return told | {
        "state": worker.state,
        "heard_ms": worker.age_ms,
        "started": _since(worker, started, now),
        "running": [{**each, "since": _since(worker, each["since"], now)} for each in running],
    }


def _since(worker: Worker, since: int, now: int) -> str:
    """Return when that began which began at *since* by its clock; by the clock here, as its host's may be another."""
    return moment(now - worker.age_ms - worker.ran_for_ms(since))
