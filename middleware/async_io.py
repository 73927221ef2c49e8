"""The event loop of async actors."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
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

    def __init__(self, logger: logging.Logger, **options: Any) -> None:
        super().__init__(logger, **options)
        self._waiting: dict[int, Coroutine[Any, Any, Any]] = {}

    def run_coroutine(self, coro: Any) -> Any:
        """Return what *coro* returns; one that is interrupted is cancelled, and has ended when this raises.

        Dramatiq's own leaves one that does not end within a second: it would go on beside the next attempt.
        """
        if not inspect.iscoroutine(coro):
            return super().run_coroutine(coro)
        thread_id = threading.get_ident()
        job = _Job(coro)
        running = job.run()
        self._waiting[thread_id] = coro
        try:
            return super().run_coroutine(running)
        except (RuntimeError, Interrupt) as error:
            interrupt = error if isinstance(error, Interrupt) else error.__cause__
            if not isinstance(interrupt, Interrupt):
                raise
            self._wait_for(job, running)
        finally:
            del self._waiting[thread_id]
        raise interrupt

    def _wait_for(self, job: _Job, running: Coroutine[Any, Any, Any]) -> None:
        """Return when *job* has ended, whatever other interrupt comes.

        It is cancelled, unless the interrupt came before Dramatiq knew that there was something to cancel.
        """
        told: Future[None] | None = None
        while self.loop.is_running() and inspect.getcoroutinestate(running) != inspect.CORO_CLOSED:
            with suppress(Interrupt):
                if told is None:
                    told = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self.loop)
                elif told.done():
                    self.loop.call_soon_threadsafe(job.cancel)
                    if inspect.getcoroutinestate(running) == inspect.CORO_CREATED:
                        # The loop was never told of it.
                        running.close()
                        job.coroutine.close()
                time.sleep(self.interrupt_check_ival)

    def whereabouts(self, thread_id: int) -> str:
        """Return where the coroutine is that thread *thread_id* waits for; empty where it waits for none."""
        coroutine = self._waiting.get(thread_id)
        if coroutine is None or self.ident is None:
            return ""
        return whereabouts.of_coroutine(coroutine, self.ident)


class _Job:
    """A coroutine of an actor, and the task in which the loop runs it."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.coroutine = coroutine
        self._task: asyncio.Task[Any] | None = None

    async def run(self) -> Any:
        self._task = asyncio.current_task()
        return await self.coroutine

    def cancel(self) -> None:
        """Cancel it, unless somebody has: once more would end what it does about it."""
        if self._task is not None and not self._task.cancelling():
            self._task.cancel()
