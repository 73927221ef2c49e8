"""Reports and attempts, as tests want them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import dramatiq

from actors.fleet import Report, Running
from actors.fleet.deployment import Worker
from actors.fleet.report import State
from middleware.ended import Ended

NOW = 1_700_000_000_000

REPORT = Report(
    member="host-1:7:ab",
    host="host-1",
    pid=7,
    started=NOW - 60_000,
    at=NOW,
    every_ms=5_000,
    keep_ms=300_000,
    version="1.2",
    identity={"broker": "amqp://shop:***@rabbit/", "store": "redis://redis/0"},
    queues=["default"],
    threads=2,
    state=State.CONSUMING,
    memory_mib=50.0,
    outcomes={"done": 3},
)


def report(**fields: Any) -> Report:
    return replace(REPORT, **fields)


def worker(age_ms: int = 0, **fields: Any) -> Worker:
    return Worker(report(**fields), age_ms)


def running(actor: str = "charge", since: int = NOW - 4_000, **fields: Any) -> Running:
    return Running(**{"message_id": "m1", "actor": actor, "queue": "default", "attempt": 1, "since": since, **fields})


def ended(actor: str = "charge", outcome: str = "done", duration_ms: float = 1.0, **fields: Any) -> Ended:
    """An attempt of a message of *actor*; it has raised where it is retried or dead."""
    message: dramatiq.Message[Any] = dramatiq.Message(
        queue_name="default", actor_name=actor, args=(), kwargs={}, options={}
    )
    error = ValueError("no data") if outcome in ("retried", "dead") else None
    values = {"error": error, "wait_ms": 5, "at": NOW / 1_000, **fields}
    return Ended(dramatiq.MessageProxy(message), outcome, duration_ms=duration_ms, **values)


class Clock:
    """Stands still until its time is set."""

    def __init__(self, time_s: float = 0.0) -> None:
        self.time_s = time_s

    def __call__(self) -> float:
        return self.time_s
