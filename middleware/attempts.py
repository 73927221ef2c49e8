"""Notes how each attempt ends, and tells those who want to know."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware

from middleware.age_limit import age_of
from middleware.ended import Ended
from middleware.guarded import concludes
from middleware.outcome import outcome_of, outcome_of_skipped
from middleware.trail import trail_of

log = logging.getLogger(__name__)

Listener = Callable[[Sequence[Ended]], None]


class Attempts(Middleware):
    """Notes how each attempt ends when all other hooks have had their say; it stands before them in the list.

    Listeners are told of many at once. A consumer of ours calls :meth:`tell` before it records and acks what has
    ended, on its own thread: what is acked has been told of, and no worker thread waits for that. On another broker
    they are told of each when it ends.

    Args:
        listeners: called one after the other, never two at once.
    """

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self.listeners = list(listeners)
        self._ended: deque[Ended] = deque()
        self._telling = threading.RLock()
        os.register_at_fork(after_in_child=self._forget)

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Note when the attempt begins."""
        vars(message)["began"] = time.perf_counter(), _wait_ms(message)

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Note how the attempt ends."""
        outcome = outcome_of(message, exception)
        # Somebody has asked for an abort: it is nothing to look at.
        self._note(message, outcome, exception if outcome != "aborted" else None)

    def after_skip_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Note an attempt that did not run."""
        self._note(message, outcome_of_skipped(message), None)

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Tell of the last ones."""
        self.tell()

    def tell(self) -> None:
        """Tell of all that has ended; when this returns, they have been told, by whichever thread."""
        with self._telling:
            batch = [self._ended.popleft() for _ in range(len(self._ended))]
            if not batch:
                return
            for listener in self.listeners:
                try:
                    listener(batch)
                except Exception:
                    log.exception("%r fails; what it should have been told of goes on", listener)

    def _note(self, message: dramatiq.MessageProxy, outcome: str, error: BaseException | None) -> None:
        began, wait_ms = vars(message).get("began") or (None, 0)
        duration_ms = 0.0 if began is None else round(1_000 * (time.perf_counter() - began), 3)
        self._ended.append(Ended(message, outcome, error, wait_ms, duration_ms, time.time()))
        if not concludes(message):
            self.tell()

    def _forget(self) -> None:
        # What has ended in the parent is the parent's to tell of.
        self._ended.clear()
        self._telling = threading.RLock()


def _wait_ms(message: dramatiq.MessageProxy) -> int:
    """Return for how long *message*, or this retry of it, could have run, in milliseconds."""
    age_ms = age_of(message)
    trail = trail_of(message) if "attempts" in message.options else ()
    if not trail:
        return age_ms
    at, delay = trail[-1].get("at"), trail[-1].get("delay") or 0
    if type(at) is not int or type(delay) is not int:
        return age_ms
    return min(age_ms, max(0, time.time_ns() // 1_000_000 - at - delay))
