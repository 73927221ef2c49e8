"""The loop of ``actors dev``: it keeps a worker and a scheduler running, and starts both again when code changes."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from actors.dev.kept import Kept, Running, State

Record = dict[str, Any]
Start = Callable[[Callable[[Record], None]], Running]

# How often what is shown moves on, while nothing happens.
TURN_EVERY_S = 0.25
# Of what has happened so much is shown at once; and so much may wait, for a terminal that is stopped for example.
MOST_AT_ONCE, MOST_WAITING = 1_000, 10_000
LOOK_FOR_ROOM_EVERY_S = 0.02


class Supervisor:
    """Keeps processes running, each started when the one before it in the list is ready for the first time.

    With modules that can't be imported, only the first says so then.

    Args:
        starts: starts each process, by name; given where to report to, from any thread.
        ends_when_broken: whether to end where a process can't work and no change of code can come.
        clock: seconds.
    """

    def __init__(
        self,
        starts: Mapping[str, Start],
        *,
        ends_when_broken: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # A SimpleQueue, because signal handlers put into it, too.
        self._heard: queue.SimpleQueue[Record] = queue.SimpleQueue()
        self._happened: list[Record] = []
        self._clock = clock
        self._ends_when_broken = ends_when_broken
        self._is_reloading = self._is_ending = False
        self._kept = {name: self._keep(name, start) for name, start in starts.items()}

    @property
    def is_broken(self) -> bool:
        """Whether a process waits for code that can be imported."""
        return any(each.state is State.BROKEN for each in self._kept.values())

    def report(self, record: Record) -> None:
        """Take note of *record*; from any thread, and from a signal's handler."""
        self._heard.put(record)

    def report_in_turn(self, record: Record) -> None:
        """Take note of *record* once there is room for it; whoever writes so much waits, too."""
        while self._heard.qsize() >= MOST_WAITING:
            time.sleep(LOOK_FOR_ROOM_EVERY_S)
        self._heard.put(record)

    @property
    def is_over(self) -> bool:
        """Whether all has ended, and is to."""
        return self._is_ending and self._all_ended

    def run(self, show: Callable[[list[Record]], None]) -> None:
        """Keep all running until a ``stop`` is reported, and they have ended; a second one kills them.

        To ``unread`` they end, too.

        Args:
            show: called with what has happened, the oldest first; perhaps nothing.
        """
        show(self.turn([]))
        while not self.is_over:
            show(self.turn(self._next()))

    def turn(self, records: Iterable[Record]) -> list[Record]:
        """Do what is to be done now that *records* have been reported; return them, with what has followed."""
        for record in records:
            self._happened.append(record)
            self._follow(record)
        self._go_on()
        happened, self._happened = self._happened, []
        return happened

    def _keep(self, name: str, start: Start) -> Kept:
        when_broken = "ending" if self._ends_when_broken else "waiting for a change"
        return Kept(name, lambda: start(self.report_in_turn), lambda it: self._happened.append(it), when_broken)

    def _next(self) -> Iterable[Record]:
        """Return what has been reported, and wait for it if nothing has."""
        due = [each.due_s - self._clock() for each in self._kept.values() if each.due_s is not None]
        found: list[Record] = []
        try:
            found.append(self._heard.get(timeout=max(0.0, min([TURN_EVERY_S, *due]))))
            while len(found) < MOST_AT_ONCE:
                found.append(self._heard.get_nowait())
        except queue.Empty:
            pass
        return found

    def _follow(self, record: Record) -> None:
        match record:
            case {"event": "ready" | "schedules", "process": name}:
                self._kept[name].ready()
            case {"event": "exit", "process": name, "status": status, "why": why}:
                self._kept[name].ended(status, why, self._clock())
            case {"event": "changed"} if not self._is_ending:
                self._is_reloading = True
                self._stop()
            case {"event": "stop"} if self._is_ending:
                self._kill()
            case {"event": "stop" | "unread"}:
                self._is_ending = True
                self._stop()

    def _go_on(self) -> None:
        if self._is_ending:
            return
        if self._is_reloading:
            # Not before all have ended: a new scheduler would enqueue for the old worker.
            if not self._all_ended:
                return
            self._is_reloading = False
        if self._ends_when_broken and self.is_broken:
            self._is_ending = True
            self._stop(but_broken=True)
            return
        for each in self._kept.values():
            if each.due_s is not None and each.due_s <= self._clock():
                each.start(self._clock())
        self._start_next()

    @property
    def _all_ended(self) -> bool:
        return not any(each.is_running for each in self._kept.values())

    def _start_next(self) -> None:
        """Start the first that has ended, if those before it are ready."""
        for each in self._kept.values():
            if each.state is State.ENDED:
                each.start(self._clock())
            if each.state is not State.READY:
                return

    def _stop(self, *, but_broken: bool = False) -> None:
        for each in reversed(self._kept.values()):
            if not (but_broken and each.state is State.BROKEN):
                each.stop()

    def _kill(self) -> None:
        for each in self._kept.values():
            each.kill()
