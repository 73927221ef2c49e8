"""Whose turn it is to write."""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """A lock that threads get in the order of their coming; of a plain one, a thread may wait while others have it."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()

    def take(self, timeout_s: float) -> bool:
        """Wait for a turn; return whether it came within the timeout."""
        with self._changing:
            if not self._is_taken:
                self._is_taken = True
                return True
            place = threading.Lock()
            place.acquire()
            self._waiting.append(place)
        if place.acquire(timeout=timeout_s):
            return True
        with self._changing:
            if place in self._waiting:
                self._waiting.remove(place)
                return False
        # It has come in this very moment.
        return True

    def pass_on(self) -> None:
        """End a turn; the next begins, if somebody waits."""
        with self._changing:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False
