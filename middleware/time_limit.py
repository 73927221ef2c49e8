"""Interrupts attempts that take too long, and nothing else."""

from __future__ import annotations

import ctypes
import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import dramatiq
from dramatiq.middleware import TimeLimit as DramatiqTimeLimit
from dramatiq.middleware import TimeLimitExceeded, raise_thread_exception

INTERVAL_S = 1.0


class TimeLimit(DramatiqTimeLimit):
    """Dramatiq's time limit, whose interrupt can hit the actor's function only.

    An interrupt is an exception that appears in the worker thread at its next bytecode. Where the function ends
    just before, Dramatiq's own appears in the code that settles the message, or ends the worker thread, which
    nobody replaces. Here it can appear only while the function runs, and what is still pending then is taken back.

    Args:
        time_limit: milliseconds that an attempt may take, where its actor and message do not say.
    """

    def __init__(self, *, time_limit: float = 600_000) -> None:
        super().__init__(time_limit=time_limit)
        self._limit = threading.local()
        self._watch = _Watch()

    def after_declare_actor(self, broker: dramatiq.Broker, actor: dramatiq.Actor[..., Any]) -> None:
        """Put the guard around the actor's function."""
        actor.fn = self._guarded(actor.fn)

    def after_process_boot(self, broker: dramatiq.Broker) -> None:
        """Start nothing: the watch starts with the first attempt."""

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Note the limit of the attempt that this thread is about to make."""
        actor = broker.get_actor(message.actor_name)
        limit_ms = message.options.get("time_limit") or actor.options.get("time_limit", self.time_limit)
        self._limit.seconds = limit_ms / 1000

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Forget the limit, if the function was never called."""
        self._limit.seconds = None

    after_skip_message = after_process_message

    def _guarded(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def run(*args: Any, **kwargs: Any) -> Any:
            # Taken, so that an actor that calls another one directly has one limit, and a call outside a worker none.
            seconds, self._limit.seconds = getattr(self._limit, "seconds", None), None
            if seconds is None:
                return fn(*args, **kwargs)
            thread_id = threading.get_ident()
            self._watch.arm(thread_id, seconds)
            try:
                return fn(*args, **kwargs)
            finally:
                self._watch.disarm(thread_id)

        return run


class _Watch:
    """A thread that interrupts other threads at their deadlines.

    An attempt takes no lock, unless it was interrupted: eight threads would wait for each other twice a message.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadlines: dict[int, float] = {}
        self._thread: threading.Thread | None = None

    def arm(self, thread_id: int, seconds: float) -> None:
        self._deadlines[thread_id] = time.monotonic() + seconds
        if self._thread is None or not self._thread.is_alive():
            self._start()

    def disarm(self, thread_id: int) -> None:
        # Who takes the deadline out has the say.
        if self._deadlines.pop(thread_id, None) is None:
            with self._lock:
                self._deadlines.pop(thread_id, None)
                # It was interrupted; where that has not appeared yet, it no longer will.
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), None)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="actors-time-limit", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(INTERVAL_S)
            with self._lock:
                now = time.monotonic()
                for thread_id, deadline in list(self._deadlines.items()):
                    if now >= deadline:
                        self._interrupt(thread_id, deadline)

    def _interrupt(self, thread_id: int, deadline: float) -> None:
        taken = self._deadlines.pop(thread_id, None)
        if taken == deadline:
            raise_thread_exception(thread_id, TimeLimitExceeded)
        elif taken is not None:
            # The thread has gone on to its next attempt meanwhile.
            self._deadlines[thread_id] = taken
