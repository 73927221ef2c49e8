"""Interrupts attempts that take too long, and nothing else; and says where they were."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import dramatiq
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.middleware import TimeLimit as DramatiqTimeLimit
from dramatiq.middleware import TimeLimitExceeded

from middleware import whereabouts
from middleware.async_io import LoopThread
from middleware.interrupts import Interrupts, Running

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
# How long after its limit it is said of an attempt that it still goes on, in seconds.
GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Overdue:
    """An attempt that has been interrupted, and goes on.

    Attributes:
        message_id: its message.
        actor: the actor's name.
        limit_ms: its time limit, in milliseconds.
        over_s: for how long it has been over that, in seconds.
    """

    message_id: str
    actor: str
    limit_ms: float
    over_s: float


class TimeLimit(DramatiqTimeLimit):
    """Dramatiq's time limit, whose interrupt can hit the actor's function only.

    The interrupt says what the limit was, and its traceback where the function was; of an async one its notes do. An
    attempt that does not react, as it waits in C, is a warning of the logger ``middleware.time_limit`` with where it
    is, once, five seconds after its limit.

    Args:
        time_limit: milliseconds that an attempt may take, where its actor and message do not say.
        interrupts: is told of what runs; others may interrupt it, too.
    """

    def __init__(self, *, time_limit: float = 600_000, interrupts: Interrupts | None = None) -> None:
        super().__init__(time_limit=time_limit)
        self._limit = threading.local()
        self._watch = _Watch(Interrupts() if interrupts is None else interrupts)

    def overdue(self) -> list[Overdue]:
        """Return the attempts of this process that go on though they have been interrupted; from any thread."""
        return self._watch.overdue()

    def after_declare_actor(self, broker: dramatiq.Broker, actor: dramatiq.Actor[..., Any]) -> None:
        """Put the guard around the actor's function."""
        actor.fn = self._guarded(actor.fn)

    def after_process_boot(self, broker: dramatiq.Broker) -> None:
        """Start nothing: the watch starts with the first attempt."""

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Note the limit of the attempt that this thread is about to make."""
        actor = broker.get_actor(message.actor_name)
        limit_ms = message.options.get("time_limit") or actor.options.get("time_limit", self.time_limit)
        self._limit.armed = limit_ms / 1000, message

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Forget the limit, if the function was never called."""
        self._limit.armed = None
        if self._watch.late:
            # The interrupt may have appeared at the very start of disarm().
            self._watch.late.pop(threading.get_ident(), None)

    after_skip_message = after_process_message

    def _guarded(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def run(*args: Any, **kwargs: Any) -> Any:
            # Taken, so that an actor that calls another one directly has one limit, and a call outside a worker none.
            armed, self._limit.armed = getattr(self._limit, "armed", None), None
            if armed is None:
                return fn(*args, **kwargs)
            running = self._watch.arm(threading.get_ident(), *armed)
            try:
                return fn(*args, **kwargs)
            except TimeLimitExceeded as error:
                self._watch.explain(running.thread_id, error)
                raise
            finally:
                self._watch.disarm(running)

        return run


@dataclass(slots=True)
class _Late:
    """An attempt that was interrupted, and where its coroutine was, if it has one."""

    running: Running
    coroutine: str
    is_told: bool = False

    @property
    def limit_ms(self) -> float:
        return round(self.running.limit_s * 1000, 3)

    def overdue(self, now: float) -> Overdue:
        message = self.running.message
        return Overdue(message.message_id, message.actor_name, self.limit_ms, now - self.running.deadline)


class _Watch:
    """A thread that interrupts other threads at their deadlines.

    Attributes:
        late: by thread, the attempts that were interrupted and have not ended.
    """

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._starting = threading.Lock()
        self.late: dict[int, _Late] = {}
        self._thread: threading.Thread | None = None

    def arm(self, thread_id: int, seconds: float, message: dramatiq.MessageProxy) -> Running:
        if self._thread is None or not self._thread.is_alive():
            self._start()
        running = Running(thread_id, message, time.monotonic() + seconds, seconds)
        self._interrupts.begin(running)
        return running

    def disarm(self, running: Running) -> None:
        if self._interrupts.end(running):
            self.late.pop(running.thread_id, None)

    def explain(self, thread_id: int, error: TimeLimitExceeded) -> None:
        """Let *error*, which can be given no text when it is raised in another thread, say what has happened."""
        late = self.late.get(thread_id)
        if late is not None and not error.args:
            error.args = (f"the attempt took longer than its time limit, {late.limit_ms:.15g} ms",)
            if late.coroutine:
                error.add_note(f"Its coroutine was here (most recent call last):\n{late.coroutine.rstrip()}")

    def overdue(self) -> list[Overdue]:
        now = time.monotonic()
        return [late.overdue(now) for late in list(self.late.values())]

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="actors-time-limit", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(INTERVAL_S)
            now = time.monotonic()
            for running in self._interrupts:
                if now >= running.deadline:
                    self._interrupt(running)
            for thread_id, late in list(self.late.items()):
                if not late.is_told and now >= late.running.deadline + GRACE_S:
                    self._tell(thread_id, late)

    def _interrupt(self, running: Running) -> None:
        # Before the interrupt, as afterwards the coroutine is cancelled.
        late = _Late(running, _coroutine_of(running.thread_id))

        def note() -> None:
            self.late[running.thread_id] = late

        self._interrupts.interrupt(running, TimeLimitExceeded, before=note)

    def _tell(self, thread_id: int, late: _Late) -> None:
        where = _coroutine_of(thread_id) or whereabouts.of_thread(thread_id, within=__file__)
        # What was looked at may have been the next attempt already.
        if self.late.get(thread_id) is late:
            late.is_told = True
            overdue = late.overdue(time.monotonic())
            log.warning(
                "message %s of %s has been over its time limit of %.15g ms for %.1f s, and does not react to the "
                "interrupt; it is here (most recent call last):\n%s",
                overdue.message_id,
                overdue.actor,
                overdue.limit_ms,
                overdue.over_s,
                where.rstrip() or "  (nobody knows)",
            )


def _coroutine_of(thread_id: int) -> str:
    """Return where the coroutine is that a thread waits for; empty where that is not known, or there is none."""
    loop = get_event_loop_thread()
    if isinstance(loop, LoopThread):
        # It may go on while it is looked at. Not knowing where it was is no reason not to interrupt it.
        with suppress(Exception):
            return loop.whereabouts(thread_id)
    return ""
