"""Ends a worker process in order when it has run so many messages, or has become too large; another one follows."""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware

from middleware.keeper import Kept, keep
from middleware.memory import resident_mib

log = logging.getLogger(__name__)

EXIT_STATUS = 2
# By what part of it the number of messages differs between processes, so that they do not all end at once.
SPREAD = 0.1
# How often the memory is looked at, at most, in seconds; each look takes ten microseconds.
LOOK_EVERY_S = 0.1
# How often it is seen to that a process which is to end takes nothing more, in seconds.
DRAIN_EVERY_S = 0.1

_uniform = random.SystemRandom().uniform


@dataclass(frozen=True, slots=True)
class RecycleLimits:
    """When a worker process is replaced.

    Attributes:
        after_messages: after how many attempts, give or take a tenth; None for never.
        above_mib: above how much resident memory, in MiB; None for never.
    """

    after_messages: int | None = None
    above_mib: int | None = None

    def __bool__(self) -> bool:
        return self.after_messages is not None or self.above_mib is not None


class Recycle(Middleware):
    """Replaces worker processes of the ``dramatiq`` command by fresh ones, without losing or repeating a message.

    A process that is over a limit begins nothing more. When its running jobs have ended, however long they take, it
    ends as at the end of the command, and what it had taken and not begun goes back. Its place is taken by a process
    that begins anew, before any of the application's modules.

    It stands last in the list: it forks when the process starts, before any other middleware starts a thread.

    Args:
        limits: called for when to do so.
        give_back: called with the worker, again and again while the last jobs run, to give back what has not begun.
    """

    def __init__(
        self,
        *,
        limits: Callable[[], RecycleLimits],
        give_back: Callable[[dramatiq.Worker], None] = lambda worker: None,
    ) -> None:
        self._limits = limits
        self._give_back = give_back
        self._kept: Kept | None = None

    def after_process_boot(self, broker: dramatiq.Broker) -> None:
        """Become a child of the process that ``dramatiq`` knows; end with status 2 where that can't be done."""
        if not self._limits():
            return
        others = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
        if others:
            log.critical(
                "a worker process can't be recycled: it has threads before it begins (%s), which would be missing in "
                "the next one; put Recycle last in the broker's middleware, and start them later",
                ", ".join(others),
            )
            raise SystemExit(EXIT_STATUS)
        self._kept = keep()

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Begin to count, where there is somebody to start another process."""
        limits = self._limits()
        if not limits:
            return
        if self._kept is None:
            log.warning("this process is not recycled: only those of the `dramatiq` command are")
            return
        # Only now, so that attempts pay nothing where no process is recycled.
        end = _End(worker, self._kept, self._give_back)
        broker.add_middleware(_Count(limits, end))


class _Count(Middleware):
    """Counts the attempts of this process, and ends it with the one that is too much."""

    def __init__(self, limits: RecycleLimits, end: _End) -> None:
        most = limits.after_messages
        self._most = None if most is None else max(1, round(most * _uniform(1 - SPREAD, 1 + SPREAD)))
        self._above_mib = limits.above_mib
        self._end = end
        self._numbers = itertools.count(1)
        self._look_at = 0.0
        at_start = resident_mib()
        if self._above_mib is not None and at_start > self._above_mib:
            log.warning(
                "this process has %.0f MiB at its start, and is to be replaced above %d: its memory does not count, "
                "since the next one would have no less",
                at_start,
                self._above_mib,
            )
            self._above_mib = None

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Count it."""
        # In one step, as threads race here.
        number = next(self._numbers)
        if self._most is not None and number >= self._most:
            self._end(f"the most attempts are {self._most}", number)
        elif self._above_mib is not None and (now := time.monotonic()) >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            if resident_mib() > self._above_mib:
                self._end(f"the most memory is {self._above_mib} MiB", number)

    after_skip_message = after_process_message


class _End:
    """Sees a worker process to its end."""

    def __init__(self, worker: dramatiq.Worker, kept: Kept, give_back: Callable[[dramatiq.Worker], None]) -> None:
        self._worker = worker
        self._kept = kept
        self._give_back = give_back
        self._lock = threading.Lock()
        self._has_begun = False

    def __call__(self, why: str, attempts: int) -> None:
        """Begin nothing more, and end when what runs has ended; only the first call counts."""
        with self._lock:
            if self._has_begun:
                return
            self._has_begun = True
        self._stop_threads()
        log.info(
            "recycling: %s; %d attempts and %.0f MiB in all; the process ends when what it runs has ended",
            why,
            attempts,
            resident_mib(),
        )
        threading.Thread(target=self._drain, name="actors-recycle", daemon=True).start()

    def _drain(self) -> None:
        while running := [thread for thread in self._worker.workers if thread.is_alive()]:
            # Again: one that starts at this moment says that it runs when it has been told to stop.
            self._stop_threads()
            try:
                self._give_back(self._worker)
            except Exception:
                log.warning("what has not begun goes back only with the end of this process", exc_info=True)
            running[0].join(DRAIN_EVERY_S)
        self._kept.ask_to_be_replaced()

    def _stop_threads(self) -> None:
        for thread in list(self._worker.workers):
            thread.stop()
