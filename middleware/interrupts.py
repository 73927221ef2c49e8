"""Exceptions that appear in another thread, and only while an actor's function runs there."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import dramatiq
from dramatiq.middleware import Interrupt, raise_thread_exception


@dataclass(slots=True, eq=False)
class Running:
    """The function of an actor, which runs in a thread.

    Attributes:
        thread_id: where.
        message: the message of the attempt.
        deadline: when it has run for too long, by the monotonic clock, in seconds.
        limit_s: that is so many seconds after its start.
    """

    thread_id: int
    message: dramatiq.MessageProxy
    deadline: float
    limit_s: float


class Interrupts:
    """What runs in the threads of a process, and how it is interrupted.

    An interrupt is an exception that appears in a thread at its next bytecode. Where the function ends just before, one
    that is raised without more ado appears in the code that settles the message, or ends the worker thread, which
    nobody replaces. Here it can appear only while the function runs, and what is still pending then is taken back.

    An attempt takes no lock, unless it was interrupted: eight threads would wait for each other twice a message.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, Running] = {}

    def __iter__(self) -> Iterator[Running]:
        """Iterate over what runs and has not been interrupted."""
        return iter(list(self._running.values()))

    def __bool__(self) -> bool:
        """Whether anything runs."""
        return bool(self._running)

    def begin(self, running: Running) -> None:
        """Note that a function is about to run, in its own thread."""
        self._running[running.thread_id] = running

    def end(self, running: Running) -> bool:
        """Note that it runs no more, in its own thread; return whether it was interrupted. From now on nothing does."""
        # Who takes it out has the say.
        if self._running.pop(running.thread_id, None) is not None:
            return False
        with self._lock:
            self._running.pop(running.thread_id, None)
            # It was interrupted; where that has not appeared yet, it no longer will.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(running.thread_id), None)
        return True

    def interrupt(
        self, running: Running, exception: type[Interrupt], *, before: Callable[[], None] = lambda: None
    ) -> bool:
        """Let *exception* appear where *running* runs; return whether it still did, and nobody had interrupted it.

        Args:
            running: what to interrupt.
            exception: what is to appear.
            before: called just before it can.
        """
        with self._lock:
            taken = self._running.pop(running.thread_id, None)
            if taken is running:
                before()
                raise_thread_exception(running.thread_id, exception)
                return True
            if taken is not None:
                # The thread has gone on to its next attempt meanwhile.
                self._running[running.thread_id] = taken
            return False
