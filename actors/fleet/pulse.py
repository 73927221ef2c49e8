"""The thread of a worker process that tells what it does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from actors.fleet.outbox import Outbox
from actors.fleet.protocol import KEEP_MS, Fleet, Interest
from actors.fleet.report import Report, State
from middleware.stores import StoreUnavailable

log = logging.getLogger("actors.fleet")

# How often a process reports by itself, and how often it looks whether somebody wants to see more; in seconds.
BEAT_EVERY_S, LOOK_EVERY_S = 5.0, 1.0
# How often events are published while somebody follows them, in seconds.
PUBLISH_EVERY_S = 0.2
# How long a worker that stops waits for its last word, in seconds; the store may be silent.
LAST_WAIT_S = 2.0


class Pulse:
    """Reports every five seconds, and every second while somebody watches; publishes events while somebody follows.

    Nothing depends on it: where the fleet does not answer it says so once, and goes on trying.

    Args:
        fleet: called for where to report; at its first use, so that nothing connects before.
        member: what this process is called.
        report: called with the seconds to the next report, and whether events are published; returns the report.
        outbox: has the events.
        keep_ms: how long a report is kept.
        beat_every_s: how often it reports, in seconds.
    """

    def __init__(
        self,
        fleet: Callable[[], Fleet],
        member: str,
        report: Callable[[float, bool], Report],
        outbox: Outbox,
        *,
        keep_ms: int = KEEP_MS,
        beat_every_s: float = BEAT_EVERY_S,
    ) -> None:
        self._find_fleet = fleet
        self._fleet: Fleet | None = None
        self._member = member
        self._report = report
        self._outbox = outbox
        self._keep_ms = keep_ms
        self._beat_every_s = beat_every_s
        self._look_every_s = min(LOOK_EVERY_S, beat_every_s)
        self._interest: Interest | None = None
        self._beat_at_s = 0.0
        self._wake = threading.Event()
        self._is_ending = self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="actors-pulse", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def beat_soon(self) -> None:
        """Report now, since something has changed."""
        self._beat_at_s = 0.0
        self._wake.set()

    def end(self) -> None:
        """Publish what is left, and be forgotten."""
        self._is_ending = True
        self._wake.set()
        self._thread.join(LAST_WAIT_S)

    def _run(self) -> None:
        while not self._is_ending:
            self._attempt(self._turn)
            if self._wake.wait(PUBLISH_EVERY_S if self._outbox.is_open else self._look_every_s):
                self._wake.clear()
        if self._fleet is not None and not self._is_failing:
            self._attempt(partial(self._leave, self._fleet))

    def _turn(self) -> None:
        self._fleet = fleet = self._fleet or self._find_fleet()
        now_s = time.monotonic()
        if now_s >= self._beat_at_s:
            self._beat(fleet, now_s)
        elif not self._is_failing:
            self._note(fleet, fleet.interest(), now_s)
        if events := self._outbox.take(time.time()):
            fleet.publish(events)

    def _beat(self, fleet: Fleet, now_s: float) -> None:
        wanted = self._interest or Interest()
        every_s = self._look_every_s if wanted.watched else self._beat_every_s
        # Before it is tried, so that a silent store is not asked at every turn.
        self._beat_at_s = now_s + every_s
        report = self._report(every_s, wanted.followed)
        if report.state is State.PAUSED:
            # As it is at its start, until its consumers are connected: that this is over is to be seen soon.
            self._beat_at_s = now_s + self._look_every_s
        self._note(fleet, fleet.beat(self._member, report.encode(), keep_ms=self._keep_ms), now_s)
        if self._is_failing:
            self._is_failing = False
            log.info("reports of this process are kept again")

    def _note(self, fleet: Fleet, interest: Interest, now_s: float) -> None:
        """Do what is wanted from now on; who wants it is told by a report that comes at once."""
        before, self._interest = self._interest or Interest(), interest
        self._outbox.open(interest.followed)
        if interest != before:
            self._beat(fleet, now_s)

    def _leave(self, fleet: Fleet) -> None:
        if events := self._outbox.take(time.time()):
            fleet.publish(events)
        fleet.leave(self._member)

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except StoreUnavailable as error:
            self._fail("reports of this process are not kept, and actors status shows it as silent: %s", error)
        except Exception:
            self._fail("unexpected error while reporting what this process does", exc_info=True)

    def _fail(self, text: str, *arguments: object, exc_info: bool = False) -> None:
        self._outbox.open(False)
        if not self._is_failing:
            self._is_failing = True
            log.warning(text, *arguments, exc_info=exc_info)
