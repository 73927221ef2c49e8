"""Lets the worker processes of an instance answer probes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import dramatiq
from dramatiq.middleware import Middleware

from actors.configuration import Settings, service_manager
from actors.errors import ActorsError
from actors.health.pages import Pages
from actors.loading import EXIT_STATUS
from middleware.stores import Store

if TYPE_CHECKING:
    from actors.health.at_work import AtWork

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
        pages: Pages | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._pages = pages or {}
        self._work: AtWork | None = None

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """End the process with status 2 where it can't tell of itself."""
        try:
            current = self._settings()
            if not current.health_address:
                _warn_of_silence()
                return
            # Here, so that what only sends imports no server.
            from actors.health.at_work import AtWork

            self._work = AtWork(broker, worker, current, self._store, self._pages)
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


def _warn_of_silence() -> None:
    if service_manager() is not None:
        log.warning(
            "NOTIFY_SOCKET is set, and ACTORS_HEALTH_ADDRESS is not: the service manager is not told how this worker "
            "is, since none of its processes knows of the others; set it, such as to 127.0.0.1:8081"
        )
