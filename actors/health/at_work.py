"""What a worker process has that tells of itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import dramatiq

from actors.configuration import Settings
from actors.errors import SettingsError
from actors.health.heartbeat import Heartbeat
from actors.health.look import begins_nothing_more, consuming, lost_threads
from actors.health.pages import Pages
from actors.health.process import started
from actors.health.pulse import Pulse
from actors.health.service_manager import ServiceManager
from actors.health.store_look import StoreLook
from actors.health.workers import Limits
from actors.instance import instance_dir
from actors.loading import processes_of_command
from middleware.stores import Store


class AtWork:
    """Looks at one worker, and at the store beside it, while it works.

    Args:
        broker: whose actors count.
        worker: the worker.
        current: the settings.
        store: called for the store.
        pages: what else is answered, by path.

    Raises:
        SettingsError: ``ACTORS_RUNTIME_DIR`` can't be used.
    """

    def __init__(
        self,
        broker: dramatiq.Broker,
        worker: dramatiq.Worker,
        current: Settings,
        store: Callable[[], Store],
        pages: Pages,
    ) -> None:
        self._broker = broker
        self._worker = worker
        self._is_draining = False
        self._pid = os.getpid()
        self._started = started(self._pid) or ""
        self._processes = processes_of_command()
        self._store = StoreLook(store, on_change=self._changed) if _needs_store(broker) else None
        # What a consumer may wait for in one turn: RabbitMQ's answers when it declares its queues, above all.
        limits = Limits(
            silent_s=current.stuck_after_s, turn_s=current.stuck_after_s + current.publish_timeout_ms / 1000
        )
        place = instance_dir(current.runtime_dir, current.health_address)
        try:
            self._pulse = Pulse(
                place,
                current.health_address,
                look=self._look,
                limits=limits,
                pages=pages,
                manager=ServiceManager.of_environment(),
            )
        except OSError as error:
            raise SettingsError(
                f"ACTORS_RUNTIME_DIR: nothing can be kept in {place}: {error.strerror or error}; "
                "name a directory of this user's"
            ) from None

    def start(self) -> None:
        """Begin to tell."""
        if self._store is not None:
            self._store.start()
        self._pulse.start()

    def drain(self) -> None:
        """Tell that nothing more is begun."""
        self._is_draining = True
        self._changed()

    def end(self) -> None:
        """Tell nothing more."""
        if self._store is not None:
            self._store.end()
        self._pulse.end()

    def _changed(self) -> None:
        self._pulse.beat_soon()

    def _look(self) -> Heartbeat:
        now_s = time.monotonic()
        return Heartbeat(
            pid=self._pid,
            started=self._started,
            at_s=now_s,
            processes=self._processes,
            actors=len(self._broker.actors),
            consumers=consuming(self._worker),
            lost=lost_threads(self._worker),
            store=self._store.problem(now_s) if self._store is not None else "",
            draining=self._is_draining or begins_nothing_more(self._worker),
        )


def _needs_store(broker: dramatiq.Broker) -> bool:
    return any(actor.options.get("idempotent", True) for actor in broker.actors.values())
