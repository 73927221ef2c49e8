"""A fleet in this process's memory: for tests, and where the store is there, too."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from actors.fleet.protocol import MOST_EVENTS, MOST_MEMBERS, Interest, Kept


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class MemoryFleet:
    """See :class:`~actors.fleet.protocol.Fleet`. It is never unavailable.

    Args:
        now: returns the time in milliseconds since the Unix epoch.
    """

    def __init__(self, now: Callable[[], int] = _now_ms) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._members: dict[str, tuple[int, int, str]] = {}
        self._events: deque[str] = deque(maxlen=MOST_EVENTS)
        self._published = 0
        self._watched_until = self._followed_until = 0

    def beat(self, member: str, text: str, *, keep_ms: int) -> Interest:
        """Keep *text* as what *member* tells of itself."""
        with self._lock:
            now = self._now()
            self._members.pop(member, None)
            self._members[member] = now, now + keep_ms, text
            there = [each for each in self._members.items() if each[1][1] > now]
            self._members = dict(there[-MOST_MEMBERS:])
        return self.interest()

    def leave(self, member: str) -> None:
        """Forget *member*."""
        with self._lock:
            self._members.pop(member, None)

    def members(self) -> Sequence[Kept]:
        """Return what is kept of each process."""
        with self._lock:
            now = self._now()
            found = [(member, *kept) for member, kept in self._members.items()]
        return [Kept(member, text, now - heard) for member, heard, until, text in reversed(found) if until > now]

    def interest(self) -> Interest:
        """Return what is wanted."""
        now = self._now()
        return Interest(self._watched_until > now, self._followed_until > now)

    def want(self, interest: Interest, *, for_ms: int) -> None:
        """Let all processes know of *interest*."""
        until = self._now() + for_ms
        if interest.watched:
            self._watched_until = max(self._watched_until, until)
        if interest.followed:
            self._followed_until = max(self._followed_until, until)

    def publish(self, events: Sequence[str]) -> None:
        """Add *events*."""
        with self._lock:
            self._events.extend(events)
            self._published += len(events)

    def newest(self, limit: int) -> tuple[Sequence[str], str]:
        """Return the newest events, and the cursor of what comes after them."""
        with self._lock:
            skipped = max(0, len(self._events) - limit)
            return list(islice(self._events, skipped, None)), str(self._published)

    def after(self, cursor: str, *, limit: int) -> tuple[Sequence[str], str]:
        """Return the events after *cursor*, and the next cursor."""
        with self._lock:
            first = self._published - len(self._events)
            begin = max(int(cursor) - first, 0)
            found = list(islice(self._events, begin, begin + limit))
            return found, str(first + begin + len(found))
