"""The event loop of async actors."""

from __future__ import annotations

import dramatiq
from dramatiq.asyncio import EventLoopThread, set_event_loop_thread
from dramatiq.middleware import AsyncIO as DramatiqAsyncIO


class AsyncIO(DramatiqAsyncIO):
    """Dramatiq's event loop for async actors, on a daemon thread.

    Otherwise a worker that is told to stop twice, as by systemd's default ``KillMode``, waits for the loop for ever.
    """

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Start the event loop."""
        thread = EventLoopThread(self.logger)
        thread.daemon = True
        thread.start(timeout=1.0)
        set_event_loop_thread(thread)
