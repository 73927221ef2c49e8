"""What holds transactions back for the moment of a fork.

SQLite keeps in memory which locks this process has on a file, and a child inherits that, but not the locks: it would
believe to hold what it does not, and damage the file. So all connections are closed before a fork, and both sides open
theirs anew (https://sqlite.org/howtocorrupt.html, 2.6).
"""

from __future__ import annotations

import threading


class Gate:
    """Entered by each transaction, and closed by whoever forks."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        # By how many: two threads can fork at once.
        self._closings = 0

    def __enter__(self) -> None:
        """Enter, once the gate is open."""
        with self._changed:
            while self._closings:
                self._changed.wait()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        """Leave."""
        with self._changed:
            self._inside -= 1
            if self._closings:
                self._changed.notify_all()

    def close(self, *, allowed: int, timeout_s: float) -> bool:
        """Let nobody in, and wait until no more than *allowed* are inside; return whether that came to be."""
        with self._changed:
            self._closings += 1
            return self._changed.wait_for(lambda: self._inside <= allowed, timeout_s)

    def open(self) -> None:
        """Let them in again."""
        with self._changed:
            # One that was made while others were closed is open already.
            self._closings = max(0, self._closings - 1)
            self._changed.notify_all()
