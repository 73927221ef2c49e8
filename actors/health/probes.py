"""Lets the worker processes of an instance answer probes."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping

import dramatiq
from dramatiq.middleware import Middleware

from actors.configuration import Settings, service_manager
from actors.errors import ActorsError
from actors.health.heartbeat import Heartbeat
from actors.health.look import begins_nothing_more, consuming, lost_threads
from actors.health.pages import Page
from actors.health.process import started
from actors.health.pulse import Pulse
from actors.health.service_manager import ServiceManager
from actors.health.store_look import StoreLook
from actors.health.workers import Limits
from actors.instance import instance_dir
from actors.loading import EXIT_STATUS, processes_of_command
from middleware.stores import Store

log = logging.getLogger("actors.health")


class Probes(Middleware):
    """Answers ``/live`` and ``/ready`` for all worker processes of a command, where ``ACTORS_HEALTH_ADDRESS`` is set.

    Each process tells of itself; one answers for all.

    Args:
        settings: called for the settings.
        store: called for the store.
        pages: what else is answered there, by path.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        *,
        store: Callable[[], Store],
        pages: Mapping[str, Callable[[], Page]] | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._pages = pages or {}
        self._work: _AtWork | None = None

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """End the process with status 2 where it can't tell of itself."""
        try:
            current = self._settings()
            if not current.health_address:
                _warn_of_silence()
                return
            self._work = _AtWork(broker, worker, current, self._store, self._pages)
        except ActorsError as error:
            log.critical("%s", error)
            raise SystemExit(EXIT_STATUS) from None

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Begin to tell."""
        if self._work is not None:
            self._work.start()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Tell that nothing more is begun."""
        if self._work is not None:
            self._work.drain()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Tell nothing more."""
        if self._work is not None:
            self._work.end()
            self._work = None


class _AtWork:
    """What one worker has of this."""

    def __init__(
        self,
        broker: dramatiq.Broker,
        worker: dramatiq.Worker,
        current: Settings,
        store: Callable[[], Store],
        pages: Mapping[str, Callable[[], Page]],
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
        self._pulse = Pulse(
            instance_dir(current.runtime_dir, current.health_address),
            current.health_address,
            look=self._look,
            limits=limits,
            pages=pages,
            manager=ServiceManager.of_environment(),
        )

    def start(self) -> None:
        if self._store is not None:
            self._store.start()
        self._pulse.start()

    def drain(self) -> None:
        self._is_draining = True
        self._changed()

    def end(self) -> None:
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


def _warn_of_silence() -> None:
    if service_manager() is not None:
        log.warning(
            "NOTIFY_SOCKET is set, and ACTORS_HEALTH_ADDRESS is not: the service manager is not told how this worker "
            "is, since none of its processes knows of the others; set it, such as to 127.0.0.1:8081"
        )
