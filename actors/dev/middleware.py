"""The middleware of a worker under ``actors dev``, which tells what runs."""

from __future__ import annotations

import logging
import threading
from typing import Any

import dramatiq
from dramatiq.errors import BrokerError
from dramatiq.middleware import Middleware

from actors.brokers.broker import Broker
from actors.dev.telling import tell
from actors.errors import ActorsError
from middleware.trail import retries_of

LOOK_EVERY_S = 1.0
LONGEST_NAME = 200

_attempts = logging.getLogger("middleware.attempt_log")


class Telling(Middleware):
    """Tells which queues there are and how full they are, and how each attempt begins and ends.

    It is the last in the list, so that an attempt has begun when nothing more can keep it from running. How it ended
    is what the log says of it.
    """

    def __init__(self) -> None:
        self._stopping = threading.Event()

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Tell that it is ready. Only now, as the application may have configured its logs while it was imported."""
        # The application may have disabled what was there before its own configuration.
        _attempts.disabled = False
        _attempts.setLevel(min(_attempts.getEffectiveLevel(), logging.INFO))
        _attempts.addHandler(_Attempts())
        for handler in logging.getLogger().handlers:
            if type(handler) is logging.StreamHandler:
                handler.addFilter(_is_worth_a_line)
        tell("ready", actors=len(broker.actors))
        if isinstance(broker, Broker):
            threading.Thread(target=self._count, args=(broker,), daemon=True).start()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Count no more."""
        self._stopping.set()

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Tell that an attempt begins."""
        tell(
            "started",
            message_id=message.message_id[:LONGEST_NAME],
            actor=message.actor_name[:LONGEST_NAME],
            queue=message.queue_name,
            attempt=retries_of(message) + 1,
        )

    def _count(self, broker: Broker[Any]) -> None:
        told: dict[str, tuple[int, int, int]] = {}
        while not self._stopping.is_set():
            for queue in sorted(broker.queues):
                try:
                    counts = broker.engine.counts(queue)
                except (ActorsError, BrokerError):
                    break  # an outage, which others log
                if told.get(queue) != counts:
                    told[queue] = counts
                    ready, delayed, dead = counts
                    tell("queue", queue=queue, ready=ready, delayed=delayed, dead=dead)
            self._stopping.wait(LOOK_EVERY_S)


class _Attempts(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        fields = getattr(record, "attempt", None)
        if isinstance(fields, dict):
            tell("ended", **fields)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Return whether *record* says more than what is shown of an attempt anyhow."""
    return record.name != _attempts.name or record.levelno >= logging.WARNING
