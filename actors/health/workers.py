"""Whether the worker processes of an instance live, and whether they are ready."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from actors.health.heartbeat import Heartbeat
from periodic.health import Check, in_short


@dataclass(frozen=True, slots=True)
class Limits:
    """How long something may take before it counts as stuck, in seconds.

    Attributes:
        silent_s: how old a heartbeat may be. A job that holds the interpreter makes it old, too.
        turn_s: how long a consumer may take to come round, with what it may wait for within a turn.
    """

    silent_s: float
    turn_s: float


def live(beats: Sequence[Heartbeat], now_s: float, limits: Limits) -> list[Check]:
    """Return what says whether all processes of an instance live; neither broker nor store has a part in it.

    Args:
        beats: of the processes that are there.
        now_s: seconds as ``time.monotonic`` counts them.
        limits: what counts as stuck.
    """
    return [_heartbeats(beats, now_s, limits), _turns(beats, limits), _threads(beats)]


def ready(beats: Sequence[Heartbeat], now_s: float, limits: Limits) -> list[Check]:
    """Return what says whether all processes of an instance do their part.

    One that begins nothing more while others go on is being replaced, and is not held against the instance.

    Args:
        beats: of the processes that are there.
        now_s: seconds as ``time.monotonic`` counts them.
        limits: what counts as stuck.
    """
    working = [beat for beat in beats if not beat.draining]
    checks = [_heartbeats(beats, now_s, limits), _processes(beats), _draining(beats, working)]
    if working:
        checks += [_actors(working), _consumers(working), _store(working)]
    return checks


def _heartbeats(beats: Sequence[Heartbeat], now_s: float, limits: Limits) -> Check:
    silent = [
        f"process {beat.pid} has said nothing for {now_s - beat.at_s:,.0f} s"
        for beat in beats
        if now_s - beat.at_s > limits.silent_s
    ]
    if not silent:
        return Check("heartbeats", True, "each process has just told of itself")
    return Check(
        "heartbeats",
        False,
        in_short(tuple(silent)),
        "restart it; it is stopped, or a job holds the interpreter: then call what computes for long in a process of "
        "its own, or set ACTORS_STUCK_AFTER_S higher",
    )


def _turns(beats: Iterable[Heartbeat], limits: Limits) -> Check:
    stuck = [
        f"process {beat.pid}: the consumer of {each.queue!r} has not come round for {beat.at_s - turned_at_s:,.0f} s"
        for beat in beats
        for each in beat.consumers
        if (turned_at_s := each.turned_at_s) is not None and beat.at_s - turned_at_s > limits.turn_s
    ]
    if not stuck:
        return Check("turns", True, "each consumer comes round")
    return Check(
        "turns",
        False,
        in_short(tuple(stuck)),
        "restart it; a middleware or a log handler of the application hangs, perhaps",
    )


def _threads(beats: Iterable[Heartbeat]) -> Check:
    lost = tuple(f"process {beat.pid}: {name}" for beat in beats for name in beat.lost)
    if not lost:
        return Check("threads", True, "no thread has died")
    return Check(
        "threads", False, f"ended without having been told to: {in_short(lost)}", "restart it; the log says why"
    )


def _processes(beats: Sequence[Heartbeat]) -> Check:
    wanted = max((beat.processes for beat in beats), default=1)
    found = f"{len(beats)} of {wanted} worker processes have started"
    if len(beats) >= wanted:
        return Check("processes", True, found)
    return Check("processes", False, found, "wait; if it stays so, the log says what they do")


def _draining(beats: Sequence[Heartbeat], working: Sequence[Heartbeat]) -> Check:
    draining = len(beats) - len(working)
    if not draining:
        return Check("draining", True, "jobs are begun")
    if working:
        return Check("draining", True, f"{draining} of {len(beats)} processes end what they have begun")
    return Check("draining", False, "it ends what it has begun, and begins nothing more")


def _actors(beats: Sequence[Heartbeat]) -> Check:
    least = min(beat.actors for beat in beats)
    if least:
        return Check("actors", True, f"actors that are declared: {least}")
    return Check(
        "actors", False, "no actors are declared", "name the modules that declare them: ACTORS_MODULES=shop.tasks"
    )


def _consumers(beats: Iterable[Heartbeat]) -> Check:
    found = [(beat.pid, each) for beat in beats for each in beat.consumers]
    idle = tuple(f"process {pid}, queue {each.queue!r}: {each.problem}" for pid, each in found if each.problem)
    if idle:
        return Check(
            "consumers", False, in_short(idle), "see that the broker runs, and its URL is right; it goes on by itself"
        )
    if not found:
        return Check("consumers", False, "no queue is consumed", "see that -Q names queues that actors have")
    queues = sorted({each.queue for _, each in found})
    return Check("consumers", True, f"messages are taken from {in_short(tuple(queues))}")


def _store(beats: Iterable[Heartbeat]) -> Check:
    problems = tuple(f"process {beat.pid}: {beat.store}" for beat in beats if beat.store)
    if not problems:
        return Check("store", True, "the store answers, or nothing needs it")
    return Check(
        "store", False, in_short(problems), "see that it runs, and ACTORS_STORE_URL is right; it goes on by itself"
    )
