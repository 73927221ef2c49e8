"""One life of a worker process, as others see it."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import dramatiq

from actors.fleet.insight import in_hand, problem_of
from actors.fleet.outbox import Outbox
from actors.fleet.protocol import Fleet
from actors.fleet.pulse import Pulse
from actors.fleet.report import Report, Running, State
from actors.fleet.tally import Tally, per_s, work_of_actors
from middleware.attempt_log import LONGEST_NAME
from middleware.ended import Ended
from middleware.memory import resident_mib
from middleware.process import process_name
from middleware.trail import retries_of

STARTED, STOPPED = "worker_started", "worker_stopped"


class Life:
    """What a worker does, from its start to its end.

    Args:
        worker: the worker.
        running: what its threads run, and since when, in seconds since the Unix epoch; by thread.
        fleet: called for where to tell.
        identity: called for what this process works with.
        version: called for the version of the application.
        fields: called with how an attempt has ended, for what may be told of it.
        keep_ms: how long what it has told last is kept, in milliseconds.
        beat_every_s: how often it tells by itself, in seconds.
    """

    def __init__(
        self,
        worker: dramatiq.Worker,
        running: Mapping[int, tuple[float, dramatiq.MessageProxy]],
        *,
        fleet: Callable[[], Fleet],
        identity: Callable[[], Mapping[str, Any]],
        version: Callable[[], str],
        fields: Callable[[Ended], Mapping[str, Any]],
        keep_ms: int,
        beat_every_s: float,
    ) -> None:
        self._worker = worker
        self._running = running
        # Looked up once: versions take a thousand times as long as all the rest.
        self._identity = cache(identity)
        self._version = version
        self._keep_ms = keep_ms
        self._member = f"{process_name()}:{secrets.token_hex(4)}"
        self._started = _now_ms()
        self._is_draining = False
        self._tally = Tally(time.monotonic())
        self._outbox = Outbox(self._member, fields, time.monotonic)
        self._pulse = Pulse(fleet, self._member, self._report, self._outbox, keep_ms=keep_ms, beat_every_s=beat_every_s)

    def begin(self) -> None:
        """Begin to tell."""
        self._outbox.add(STARTED, worker=process_name())
        self._pulse.start()

    def hear(self, batch: Sequence[Ended]) -> None:
        """Count *batch*, and tell of it if somebody follows."""
        self._tally(batch)
        self._outbox(batch)

    def drain(self) -> None:
        """Tell that it ends what runs, and takes nothing more."""
        self._is_draining = True
        self._pulse.beat_soon()

    def end(self) -> None:
        """Tell the last, and be forgotten."""
        self._outbox.add(STOPPED, worker=process_name())
        self._pulse.end()

    def _report(self, every_s: float, is_followed: bool) -> Report:
        now, soon, minute = self._tally.look(time.monotonic())
        why = problem_of(self._worker)
        state = State.DRAINING if self._is_draining else State.PAUSED if why else State.CONSUMING
        return Report(
            member=self._member,
            host=socket.gethostname(),
            pid=os.getpid(),
            started=self._started,
            at=_now_ms(),
            every_ms=round(every_s * 1_000),
            keep_ms=self._keep_ms,
            version=self._version(),
            identity=self._identity(),
            queues=sorted(name for name in list(self._worker.consumers) if not name.endswith(".DQ")),
            threads=self._worker.worker_threads,
            state=state,
            why=why if state is State.PAUSED else "",
            memory_mib=round(resident_mib(), 1),
            outcomes=now.outcomes,
            failed=now.failed,
            per_s=per_s(now, soon),
            per_s_minute=per_s(now, minute),
            actors=work_of_actors(now, soon, minute),
            running=[_running(since_s, message) for since_s, message in list(self._running.values())],
            in_hand=in_hand(self._worker),
            is_followed=is_followed,
        )


def _running(since_s: float, message: dramatiq.MessageProxy) -> Running:
    return Running(
        message_id=message.message_id[:LONGEST_NAME],
        actor=message.actor_name[:LONGEST_NAME],
        queue=message.queue_name,
        attempt=retries_of(message) + 1,
        since=int(since_s * 1_000),
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
