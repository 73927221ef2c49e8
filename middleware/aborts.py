"""Ends messages that were aborted: those that run here, and those that the store is not asked about."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import dramatiq
from dramatiq.middleware import Middleware, SkipMessage

from middleware.aborted import Aborted, note_aborted
from middleware.guarded import Guarded
from middleware.interrupts import Interrupts
from middleware.stores import Store, StoreUnavailable

log = logging.getLogger(__name__)

# How often the store is asked for new notes while something runs here, in seconds.
INTERVAL_S = 1.0


class AbortedBefore(SkipMessage):
    """The message was aborted before it could start."""


class Aborts(Middleware):
    """Ends messages that were aborted, whatever worker has them.

    One that waits, and has a key, meets its note as it asks for that key; Idempotency sees to it. What runs here is
    interrupted, once a second, and so is not started what has been claimed before its note was made. A message without
    a key is looked up in what this process knows of notes, which is then not older than two seconds.

    It stands behind Idempotency. While the store does not answer, nobody is aborted, and all goes on.

    Args:
        store: called for the store.
        interrupts: what runs here.
    """

    def __init__(self, *, store: Callable[[], Store], interrupts: Interrupts) -> None:
        self._store = store
        self._interrupts = interrupts
        self._notes: dict[str, int] = {}
        self._latest = 0
        self._looked_into: Store | None = None
        self._looking = threading.Lock()
        self._looked_at = float("-inf")
        self._is_failing = False
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Let a message that was aborted not start.

        Raises:
            AbortedBefore: it was.
        """
        fence = _fence_of(message)
        if not fence and self._is_stale() and not self._is_failing:
            with self._looking:
                if self._is_stale():
                    self._look()
        if self._notes and self._notes.get(message.message_id, -1) >= fence:
            note_aborted(message)
            raise AbortedBefore(f"message {message.message_id} was aborted")

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Start to ask the store, while something runs."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="actors-aborts", daemon=True)
        self._thread.start()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Ask no more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(INTERVAL_S)
            self._thread = None

    def look(self) -> None:
        """Ask the store for new notes, and interrupt whose they are."""
        with self._looking:
            self._look()
        for running in self._interrupts if self._notes else ():
            if self._notes.get(running.message.message_id, -1) >= _fence_of(running.message):
                self._interrupts.interrupt(running, Aborted)

    def _is_stale(self) -> bool:
        return time.monotonic() - self._looked_at > 2 * INTERVAL_S

    def _look(self) -> None:
        try:
            store = self._store()
            if store is not self._looked_into:
                self._looked_into, self._notes, self._latest = store, {}, 0
            # Nearly always nothing is new.
            while found := store.aborts(self._latest):
                self._notes.update(found)
                self._latest = found[-1][1]
            self._is_failing = False
        except StoreUnavailable as error:
            if not self._is_failing:
                self._is_failing = True
                log.warning("nobody knows what was aborted: %s", error)
        self._looked_at = time.monotonic()

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_S):
            if self._interrupts or self._is_failing:
                try:
                    self.look()
                except Exception:
                    # Whatever it was, the next look may go well.
                    log.exception("unexpected error while looking for aborted messages")


def _fence_of(message: dramatiq.MessageProxy) -> int:
    """Return the fencing token of the claim of *message*: notes with a lower number it has met; 0 if it has none."""
    guarded: Guarded | None = vars(message).get("guarded")
    lease = guarded.lease if guarded is not None else None
    return lease.claim.fence if lease is not None else 0
