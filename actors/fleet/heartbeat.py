"""The middleware of workers that notes what runs, and has it told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from threading import get_ident
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware

from actors.fleet.life import Life
from actors.fleet.protocol import KEEP_MS, Fleet
from actors.fleet.pulse import BEAT_EVERY_S
from middleware.ended import Ended


class Heartbeat(Middleware):
    """Notes what runs, and tells of it and of what has ended for as long as there is a worker.

    It stands behind all that can keep a message from running. :meth:`hear` listens to :class:`middleware.Attempts`.

    Args:
        fleet: called for where to tell.
        identity: called for what this process works with.
        version: called for the version of the application.
        fields: called with how an attempt has ended, for what may be told of it.

    Attributes:
        keep_ms: how long what a process has told last is kept, in milliseconds.
        beat_every_s: how often it tells by itself, in seconds.
    """

    def __init__(
        self,
        *,
        fleet: Callable[[], Fleet],
        identity: Callable[[], Mapping[str, Any]],
        version: Callable[[], str],
        fields: Callable[[Ended], Mapping[str, Any]],
    ) -> None:
        self.keep_ms = KEEP_MS
        self.beat_every_s = BEAT_EVERY_S
        self._fleet = fleet
        self._identity = identity
        self._version = version
        self._fields = fields
        # By thread, of which each runs one at a time.
        self._running: dict[int, tuple[float, dramatiq.MessageProxy]] = {}
        self._life: Life | None = None

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Note that an attempt runs."""
        self._running[get_ident()] = time.time(), message

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Note that it does not any more."""
        self._running.pop(get_ident(), None)

    def after_skip_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Note that it never has."""
        self._running.pop(get_ident(), None)

    def hear(self, batch: Sequence[Ended]) -> None:
        """Count how attempts have ended, and tell whoever follows."""
        if self._life is not None:
            self._life.hear(batch)

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Begin to tell."""
        self._running.clear()
        self._life = Life(
            worker,
            self._running,
            fleet=self._fleet,
            identity=self._identity,
            version=self._version,
            fields=self._fields,
            keep_ms=self.keep_ms,
            beat_every_s=self.beat_every_s,
        )
        self._life.begin()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Tell that it ends what runs, and takes nothing more."""
        if self._life is not None:
            self._life.drain()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """End."""
        life, self._life = self._life, None
        if life is not None:
            life.end()
