"""Events of this process that wait to be published; bounded, and never waited for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from middleware.ended import Ended

# So many events a second a process tells of, on average, and so many at once.
PER_S = 1_000


class Outbox:
    """Takes events while somebody follows, at most a thousand a second; what is too much is counted, and left out.

    It is open from the start, until it is known whether somebody does.

    Args:
        member: the process.
        fields: called with how an attempt has ended, for what may be told of it, in JSON's types.
        clock: returns a time in seconds that does not go back.

    Attributes:
        is_open: whether events are taken.
    """

    def __init__(self, member: str, fields: Callable[[Ended], Mapping[str, Any]], clock: Callable[[], float]) -> None:
        self.is_open = True
        self._member = member
        self._fields = fields
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: list[tuple[str, Mapping[str, Any] | Ended]] = []
        self._left_out = 0
        self._room = float(PER_S)
        self._filled_s = clock()
        self._number = 0

    def __call__(self, batch: Sequence[Ended]) -> None:
        """Take the attempts of *batch*, as far as there is room."""
        if not self.is_open:
            return
        with self._lock:
            room = self._refill()
            self._waiting += [("attempt", ended) for ended in batch[:room]]
            self._room -= min(len(batch), room)
            self._left_out += max(0, len(batch) - room)

    def open(self, is_open: bool) -> None:
        """Take events from now on, or none, and drop those that wait."""
        self.is_open = is_open
        if not is_open:
            with self._lock:
                self._waiting, self._left_out = [], 0

    def add(self, event: str, **fields: Any) -> None:
        """Take an event that is none of an attempt."""
        if self.is_open:
            with self._lock:
                self._waiting.append((event, fields))

    def take(self, now: float) -> list[str]:
        """Return what waits, as JSON, and let it wait no more.

        Args:
            now: the time, in seconds since the Unix epoch.
        """
        with self._lock:
            waiting, self._waiting = self._waiting, []
            left_out, self._left_out = self._left_out, 0
        if left_out:
            waiting.append(("left_out", {"count": left_out}))
        return [self._encoded(event, told, now) for event, told in waiting]

    def _encoded(self, event: str, told: Mapping[str, Any] | Ended, now: float) -> str:
        # Numbered, so that who follows knows what was dropped on the way.
        self._number += 1
        if isinstance(told, Ended):
            now, told = told.at, self._fields(told)
        head = {"event": event, "at": int(now * 1_000), "member": self._member, "number": self._number}
        return json.dumps(head | dict(told), default=str)

    def _refill(self) -> int:
        now_s = self._clock()
        self._room = min(float(PER_S), self._room + PER_S * (now_s - self._filled_s))
        self._filled_s = now_s
        return int(self._room)
