"""Says when a file can't be used, and when it can again."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from middleware.stores.sqlite import FileRefused, FileUnavailable

log = logging.getLogger(__name__)


class Outage:
    """Says it once at the beginning and once at the end, for all threads of a process that meet it.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._since: float | None = None

    def met(self, error: FileUnavailable | FileRefused) -> None:
        """Note that somebody could not use the file."""
        with self._lock:
            if self._since is None:
                self._since = time.monotonic()
                level = logging.CRITICAL if isinstance(error, FileRefused) else logging.WARNING
                log.log(level, "messages wait: %s", error)

    def over(self) -> None:
        """Note that somebody could."""
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            log.warning("messages go on: %s can be used again, after %.1f s", self._path, time.monotonic() - since)
