"""Asks the store every few seconds whether it is there, in a thread of its own: it may be long in answering."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from middleware.stores import Store

log = logging.getLogger("actors.health")

LOOK_EVERY_S = 3.0
# How old an answer may be. A name server may take long, whatever the timeout of the store.
SILENT_FOR_S = 15.0
# No key has such a digest.
NOBODY = "health"


class StoreLook:
    """What the newest look has shown.

    Args:
        store: called for the store.
        on_change: called when the store is there, or is not, other than before.
        every_s: how long it waits between two looks, in seconds.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        *,
        on_change: Callable[[], None] = lambda: None,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._store = store
        self._on_change = on_change
        self._every_s = every_s
        self._found = "it has not answered yet"
        self._at_s = time.monotonic()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="actors-store-look", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def end(self) -> None:
        """Look no more."""
        self._ending.set()

    def problem(self, now_s: float) -> str:
        """Return why the store can't be used, or empty if it can.

        Args:
            now_s: seconds as ``time.monotonic`` counts them.
        """
        if now_s - self._at_s > SILENT_FOR_S:
            return f"it has not answered for {now_s - self._at_s:,.0f} s"
        return self._found

    def _run(self) -> None:
        was_there = True
        while not self._ending.is_set():
            before, found = self._found, self._look()
            self._found, self._at_s = found, time.monotonic()
            if found and was_there:
                log.warning("messages that need the store wait: %s", found)
            elif not found and not was_there:
                log.warning("the store can be used again")
            was_there = not found
            if bool(before) != bool(found):
                self._on_change()
            self._ending.wait(self._every_s)

    def _look(self) -> str:
        try:
            self._store().inspect(NOBODY)
        except Exception as error:
            return str(error) or type(error).__name__
        return ""
