"""The event loop of async actors."""

from __future__ import annotations

import inspect
import logging
import threading
import time
from collections.abc import Coroutine
from typing import Any

import dramatiq
from dramatiq.asyncio import EventLoopThread, set_event_loop_thread
from dramatiq.middleware import AsyncIO as DramatiqAsyncIO
from dramatiq.middleware import Interrupt

from middleware import whereabouts


class AsyncIO(DramatiqAsyncIO):
    """Dramatiq's event loop for async actors, on a daemon thread.

    Otherwise a worker that is told to stop twice, as by systemd's default ``KillMode``, waits for the loop for ever.
    """

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Start the event loop."""
        thread = LoopThread(self.logger)
        thread.daemon = True
        thread.start(timeout=1.0)
        set_event_loop_thread(thread)


class LoopThread(EventLoopThread):
    """A thread with an event loop, that knows which coroutine each worker thread waits for."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger)
        self._waiting: dict[int, Coroutine[Any, Any, Any]] = {}

    def run_coroutine(self, coro: Any) -> Any:
        """Return what *coro* returns; one that is interrupted is cancelled, and has ended when this raises.

        Dramatiq's own leaves one that does not end within a second: it would go on beside the next attempt.
        """
        thread_id = threading.get_ident()
        self._waiting[thread_id] = coro
        try:
            return super().run_coroutine(coro)
        except RuntimeError as error:
            if not isinstance(error.__cause__, Interrupt):
                raise
            interrupt = error.__cause__
            while self.loop.is_running() and inspect.getcoroutinestate(coro) != inspect.CORO_CLOSED:
                time.sleep(self.interrupt_check_ival)
        finally:
            del self._waiting[thread_id]
        raise interrupt

    def whereabouts(self, thread_id: int) -> str:
        """Return where the coroutine is that thread *thread_id* waits for; empty where it waits for none."""
        coroutine = self._waiting.get(thread_id)
        if coroutine is None or self.ident is None:
            return ""
        return whereabouts.of_coroutine(coroutine, self.ident)
