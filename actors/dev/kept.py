"""What becomes of one process: it is started, dies, is started again, or waits for code that can be imported."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol

from actors.dev.restarts import Restarts
from actors.loading import EXIT_STATUS

Record = dict[str, Any]


class State(StrEnum):
    """What a process does just now."""

    ENDED = "ended"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    WAITING = "waiting"
    BROKEN = "broken"


class Running(Protocol):
    """A process that runs; see :class:`~actors.dev.child.Child`."""

    def stop(self) -> None:
        """Let it end in order."""

    def kill(self) -> None:
        """Kill it."""


class Kept:
    """One process, of which never two run.

    Args:
        name: what it is called in records.
        start: starts it.
        report: called with a record of each state that it enters.
        when_broken: what is said of it when it can't work as the code is.

    Attributes:
        state: what it does just now.
    """

    def __init__(
        self, name: str, start: Callable[[], Running], report: Callable[[Record], None], when_broken: str
    ) -> None:
        self.name = name
        self.state = State.ENDED
        self._start = start
        self._report = report
        self._running: Running | None = None
        self._when_broken = when_broken
        self._restarts = Restarts()
        self._since_s = 0.0
        self._due_s: float | None = None

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self._running is not None

    @property
    def due_s(self) -> float | None:
        """When it is to be started again; None where that is not a matter of time."""
        return self._due_s

    def start(self, now_s: float) -> None:
        """Start it, unless it runs."""
        if self._running is not None:
            return
        self._due_s, self._since_s = None, now_s
        self._enter(State.STARTING)
        self._running = self._start()

    def ready(self) -> None:
        """Note that it does its work."""
        if self.state is State.STARTING:
            self._enter(State.READY)

    def stop(self) -> None:
        """Let it end in order; :meth:`ended` is called when it has. How it died before does not count any more."""
        self._due_s = None
        self._restarts.forget()
        if self._running is None:
            self._enter(State.ENDED)
        elif self.state is not State.STOPPING:
            self._enter(State.STOPPING)
            self._running.stop()

    def kill(self) -> None:
        """Kill it."""
        if self._running is not None:
            self._running.kill()

    def ended(self, status: int, why: str, now_s: float) -> None:
        """Note that it has ended with *status*, and decide what follows."""
        self._running = None
        if self.state is State.STOPPING:
            self._enter(State.ENDED, why)
        elif status == EXIT_STATUS:
            self._enter(State.BROKEN, f"exit status {status}; {self._when_broken}")
        else:
            pause_s = self._restarts.died(now_s - self._since_s)
            self._due_s = now_s + pause_s
            how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
            self._enter(State.WAITING, f"{how}; started again in {pause_s:g} s")

    def _enter(self, state: State, why: str = "") -> None:
        if (state, why) != (self.state, ""):
            self.state = state
            self._report({"event": "state", "process": self.name, "state": state.value, "why": why})
