"""A deployment at one moment: what commands show of it, and a web page may, too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from actors.fleet.protocol import Kept
from actors.fleet.report import ActorWork, Report, State
from actors.operating import Standing

# What all processes of a deployment must agree on, of what their identities say.
COMPARED = {"broker": "broker_url", "queue_type": "queue_type"}
# A worker that has said nothing for so many of its pauses, and so much longer, is silent.
_PAUSES, _SLACK_MS = 3, 2_000


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process.

    Attributes:
        report: what it has told last.
        age_ms: how long ago that was, in milliseconds on the store's clock.
    """

    report: Report
    age_ms: int

    @property
    def is_silent(self) -> bool:
        """Whether it has frozen, was killed, or can't reach the store: it should have told something since."""
        return self.age_ms > _PAUSES * self.report.every_ms + _SLACK_MS

    @property
    def state(self) -> str:
        """What it does: ``consuming``, ``paused``, ``draining`` or ``silent``."""
        return "silent" if self.is_silent else self.report.state.value

    def ran_for_ms(self, since: int) -> int:
        """Return for how long that had run which began at *since* by its clock, when it told of it."""
        return max(0, self.report.at - since)


@dataclass(frozen=True, slots=True)
class QueueState:
    """A logical queue.

    Attributes:
        name: its name.
        ready: how many messages wait for a worker.
        in_hand: how many workers have; in RabbitMQ unacked, as far as workers that are heard of tell it.
        delayed: how many wait until they are due; None in RabbitMQ, where those of all queues wait together.
        dead: how many dead letters wait for a human.
        consumers: how many consumers it has.
    """

    name: str
    ready: int
    in_hand: int
    delayed: int | None
    dead: int
    consumers: int

    @property
    def is_unattended(self) -> bool:
        """Whether messages wait that nobody takes."""
        return bool(self.ready) and not self.consumers


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be.

    Attributes:
        level: ``error``, or ``warning`` where it may be meant so.
        subject: the worker, queue or server, or ``schedulers``.
        what: what is wrong.
        advice: what to do about it.
        is_outage: whether it is only that something can't be had.
    """

    level: Literal["error", "warning"]
    subject: str
    what: str
    advice: str = ""
    is_outage: bool = False


@dataclass(frozen=True, slots=True)
class Deployment:
    """All that is seen at one moment.

    Attributes:
        at: when, in milliseconds since the Unix epoch.
        workers: the worker processes, by name; None if that could not be had.
        queues: the queues; None if that could not be had.
        delayed: how many messages wait in RabbitMQ until they are due; None elsewhere, or if it was not asked.
        schedulers: who leads; None if that could not be had, or was not asked.
        problems: what is wrong, errors first.
    """

    at: int
    workers: Sequence[Worker] | None = None
    queues: Sequence[QueueState] | None = None
    delayed: int | None = None
    schedulers: Standing | None = None
    problems: Sequence[Problem] = field(default_factory=list)

    @property
    def heard(self) -> Sequence[Worker]:
        """The workers that are not silent."""
        return [each for each in self.workers or () if not each.is_silent]

    @property
    def per_s(self) -> float:
        """How many attempts a second ended in the last ten seconds."""
        return round(sum(each.report.per_s for each in self.heard), 2)

    @property
    def per_s_minute(self) -> float:
        """How many attempts a second ended in the last minute."""
        return round(sum(each.report.per_s_minute for each in self.heard), 2)

    @property
    def outcomes(self) -> Mapping[str, int]:
        """How many attempts have ended, by outcome, since each of the workers that are still shown has started."""
        found: Counter[str] = Counter()
        for each in self.workers or ():
            found.update(each.report.outcomes)
        return found

    @property
    def actors(self) -> Mapping[str, ActorWork]:
        """The work of all workers by actor, the busiest first."""
        found: dict[str, list[ActorWork]] = {}
        for each in self.workers or ():
            for name, work in each.report.actors.items():
                found.setdefault(name, []).append(_still(work) if each.is_silent else work)
        together = {name: _together(works) for name, works in found.items()}
        return dict(sorted(together.items(), key=lambda each: (-each[1].per_s, -each[1].minute, each[0])))


def workers_of(kept: Sequence[Kept]) -> list[Worker]:
    """Return the workers that a fleet has *kept*, by host and process id."""
    found = []
    for each in kept:
        try:
            report = Report.decode(each.text)
        except ValueError:
            continue  # of a release that tells something else
        if each.age_ms <= report.keep_ms:
            found.append(Worker(report, each.age_ms))
    return sorted(found, key=lambda each: (each.report.host, each.report.pid, each.report.member))


def problems_of_workers(workers: Sequence[Worker], ours: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with *workers*; *ours* is the identity of this process, as far as they must have the same.

    That of the store, and the prefix, they have: else they were not seen.
    """
    found = []
    for each in workers:
        report, name = each.report, f"{each.report.host}:{each.report.pid}"
        if each.is_silent:
            found.append(
                Problem(
                    "error",
                    name,
                    f"last heard {each.age_ms // 1000} s ago{_ran(each)}",
                    "it was killed, or it hangs: look there; what it had is delivered again once its connection ends",
                )
            )
        elif report.state is State.PAUSED:
            found.append(Problem("error", name, f"takes no messages: {report.why}", "it goes on once that is over"))
        for part, setting in COMPARED.items():
            theirs = report.identity.get(part)
            if not each.is_silent and part in ours and theirs != ours[part]:
                what = f"has the {part.replace('_', ' ')} {theirs}, and this process {ours[part]}"
                advice = f"set ACTORS_{setting.upper()} to the same for all, unless both are the same place"
                found.append(Problem("warning", name, what, advice))
    return found


def problems_of_queues(queues: Sequence[QueueState]) -> list[Problem]:
    """Return what is wrong with *queues*; dead letters are a matter of their own."""
    return [
        Problem(
            "error",
            each.name,
            f"{each.ready:,} messages are ready, and nobody takes them",
            f"start a worker that does: dramatiq actors shop.tasks -Q {each.name}",
        )
        for each in queues
        if each.is_unattended
    ]


def _ran(worker: Worker) -> str:
    there = sorted(worker.report.running, key=lambda each: each.since)
    if not there:
        return ""
    seconds = worker.ran_for_ms(there[0].since) // 1_000
    more = f" and {len(there) - 1} more" if len(there) > 1 else ""
    return f", when it was running {there[0].actor}, message {there[0].message_id}, for {seconds} s{more}"


def _still(work: ActorWork) -> ActorWork:
    """Return *work* as that of a process of which nobody knows what it does now."""
    return ActorWork(work.ended, work.failed, 0.0, 0, 0.0)


def _together(works: Sequence[ActorWork]) -> ActorWork:
    minute = sum(each.minute for each in works)
    return ActorWork(
        ended=sum(each.ended for each in works),
        failed=sum(each.failed for each in works),
        per_s=round(sum(each.per_s for each in works), 2),
        minute=minute,
        mean_ms=round(sum(each.mean_ms * each.minute for each in works) / minute, 3) if minute else 0.0,
    )
