"""What there is to see, as the records of what has happened say it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Record = dict[str, Any]

MOST_FINISHED = 8
# What the end of a worker makes of an attempt that was running.
CUT_OFF = "cut off"


@dataclass(frozen=True, slots=True)
class Process:
    """What a process does.

    Attributes:
        state: see :class:`~actors.dev.kept.State`.
        since_s: since when, as the scene's clock counts.
        why: why it is no other; empty where that goes without saying.
    """

    state: str
    since_s: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that runs, or has ended.

    Attributes:
        actor: whose.
        message_id: of its message.
        number: 1 for the first.
        at_s: when it began, or ended.
        outcome: how it ended; empty while it runs.
        duration_ms: how long it took.
        error: what it raised, in a line.
    """

    actor: str
    message_id: str
    number: int
    at_s: float
    outcome: str = ""
    duration_ms: float = 0.0
    error: str = ""


@dataclass(slots=True)
class Scene:
    """All that is shown.

    Attributes:
        processes: by name.
        queues: how many messages are ready, delayed and dead, by queue.
        running: by message id, the first that began first.
        finished: the newest last.
        coming: name and time of the next ticks.
        leader: who leads the schedulers, if another does; empty else.
    """

    processes: dict[str, Process] = field(default_factory=dict)
    queues: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    running: dict[str, Attempt] = field(default_factory=dict)
    finished: deque[Attempt] = field(default_factory=lambda: deque(maxlen=MOST_FINISHED))
    coming: list[tuple[str, datetime]] = field(default_factory=list)
    leader: str = ""

    def follow(self, records: Iterable[Record], now_s: float) -> None:
        """Take in what has happened; each record is of an event."""
        for record in records:
            match record["event"]:
                case "state":
                    self._state(record, now_s)
                case "started":
                    began = Attempt(record["actor"], record["message_id"], record["attempt"], now_s)
                    self.running[began.message_id] = began
                case "ended":
                    self._ended(record, now_s)
                case "queue":
                    self.queues[record["queue"]] = record["ready"], record["delayed"], record["dead"]
                case "schedules":
                    self.leader = "" if record["leads"] else record["leader"]
                    self.coming = [(each["schedule"], datetime.fromisoformat(each["time"])) for each in record["next"]]

    def _state(self, record: Record, now_s: float) -> None:
        name, state = record["process"], record["state"]
        self.processes[name] = Process(state, now_s, record["why"])
        if name == "scheduler" and state != "ready":
            self.coming, self.leader = [], ""
        if name == "worker" and state == "starting":
            # Another has the queues to tell of, and perhaps not the same ones.
            self.queues.clear()
        if name == "worker" and state not in ("ready", "stopping"):
            for each in self.running.values():
                took_ms = (now_s - each.at_s) * 1_000
                self.finished.append(
                    Attempt(each.actor, each.message_id, each.number, now_s, CUT_OFF, took_ms, "its worker has ended")
                )
            self.running.clear()

    def _ended(self, record: Record, now_s: float) -> None:
        self.running.pop(record["message_id"], None)
        self.finished.append(
            Attempt(
                record["actor"],
                record["message_id"],
                record["attempt"],
                now_s,
                record["outcome"],
                record["duration_ms"],
                f"{record['error_type']}: {record['error']}" if record.get("error_type") else "",
            )
        )
