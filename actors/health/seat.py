"""Who answers probes for all processes of an instance."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

from actors.errors import SettingsError
from actors.health.pages import Pages
from actors.health.server import ProbeServer, serve

log = logging.getLogger("actors.health")

NAME = "serving.lock"


class Seat:
    """The place of the process that answers. It is free again when that ends, however it does.

    A lock of the kernel's says whose it is: a port that is in use may be in use by a sibling, which is as it should be,
    or by a program that has nothing to do with us.

    Args:
        place: the directory of the instance.
        address: where it answers.
        pages: what it answers.
    """

    def __init__(self, place: Path, address: str, pages: Pages) -> None:
        self._path = place / NAME
        self._address = address
        self._pages = pages
        self._descriptor: int | None = None
        self._server: ProbeServer | None = None
        self._has_warned = False

    def take(self) -> bool:
        """Answer from now on, unless a sibling does; return whether this process answers."""
        if self._server is None and self._lock():
            self._attempt()
        return self._server is not None

    def leave(self) -> None:
        """Answer no more, and let a sibling."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _lock(self) -> bool:
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Of this process alone: what a job forks does not have it, and can't keep it.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def _attempt(self) -> None:
        try:
            self._server = serve(self._address, self._pages)
        except SettingsError as error:
            if not self._has_warned:
                self._has_warned = True
                log.warning(
                    "%s; nobody answers probes of this worker until then, and jobs run all the same. If another "
                    "program listens there, ss -ltnp names it",
                    error,
                )
