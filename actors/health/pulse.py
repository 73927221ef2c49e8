"""The thread of a worker process that tells of it once a second, and answers probes where no sibling does."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from actors.health.heartbeat import Heartbeat, Heartbeats
from actors.health.pages import Page, Pages, verdict
from actors.health.seat import Seat
from actors.health.service_manager import ServiceManager
from actors.health.workers import Limits, live, ready
from periodic.health import Check

log = logging.getLogger("actors.health")

BEAT_EVERY_S = 1.0


class Pulse:
    """See the module. No attempt waits for it, and nothing that it meets is the end of it.

    Args:
        place: the directory of the instance.
        address: where the instance answers probes.
        look: called for what there is to tell.
        limits: what counts as stuck.
        pages: what else is answered there.
        manager: told how the instance is, by the process that answers; None where there is none.

    Raises:
        OSError: nothing can be written to *place*.
    """

    def __init__(
        self,
        place: Path,
        address: str,
        *,
        look: Callable[[], Heartbeat],
        limits: Limits,
        pages: Pages,
        manager: ServiceManager | None = None,
    ) -> None:
        self._heartbeats = Heartbeats(place)
        self._look = look
        self._limits = limits
        self._manager = manager
        self._seat = Seat(place, address, {"/live": self._live_page, "/ready": self._ready_page, **pages})
        self._pid: int | None = None
        self._unwritten = ""
        self._is_failing = False
        self._is_ending = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="actors-health", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def beat_soon(self) -> None:
        """Tell now, since something has changed."""
        self._wake.set()

    def end(self) -> None:
        """Tell nothing more, and be forgotten."""
        self._is_ending = True
        self._wake.set()
        self._thread.join(BEAT_EVERY_S)

    def _run(self) -> None:
        while not self._is_ending:
            try:
                self._turn()
                self._is_failing = False
            except Exception:
                if not self._is_failing:
                    self._is_failing = True
                    log.exception("unexpected error while this process tells of itself; going on")
            self._wake.wait(BEAT_EVERY_S)
            self._wake.clear()
        self._seat.leave()
        if self._pid is not None:
            self._heartbeats.drop(self._pid)

    def _turn(self) -> None:
        beat = self._look()
        self._pid = beat.pid
        self._keep(beat)
        if self._seat.take() and self._manager is not None:
            self._manager.tell(self._live(), self._ready())

    def _keep(self, beat: Heartbeat) -> None:
        try:
            self._heartbeats.keep(beat)
        except OSError as error:
            if not self._unwritten:
                log.warning("ACTORS_RUNTIME_DIR: no heartbeat can be written, and /ready fails: %s", error)
            self._unwritten = str(error)
        else:
            self._unwritten = ""

    def _live(self) -> Sequence[Check]:
        # What nobody can write says nothing of who lives: a full disk is no reason to restart all workers.
        limits = replace(self._limits, silent_s=math.inf) if self._unwritten else self._limits
        return live(self._heartbeats.living(), time.monotonic(), limits)

    def _ready(self) -> Sequence[Check]:
        checks = ready(self._heartbeats.living(), time.monotonic(), self._limits)
        if self._unwritten:
            reason = f"this process can't write its own: {self._unwritten}"
            checks.append(Check("heartbeats", False, reason, "make room, or name another ACTORS_RUNTIME_DIR"))
        return checks

    def _live_page(self) -> Page:
        return verdict(self._live())

    def _ready_page(self) -> Page:
        return verdict(self._ready())
