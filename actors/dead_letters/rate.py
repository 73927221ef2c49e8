"""How fast messages may be sent."""

from __future__ import annotations

import time

# For how long a sender that waits for its rate waits at a time, in seconds.
NAP_S = 0.1


class Rate:
    """Lets so many things begin a second.

    Args:
        per_second: how many; None for any number.
    """

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second
        self._next_at = time.monotonic()

    def allows(self) -> bool:
        """Return whether another one may begin."""
        return self._per_second is None or time.monotonic() >= self._next_at

    def count(self) -> None:
        """Count one that begins."""
        if self._per_second is not None:
            # What a nap has let pass may be caught up with.
            self._next_at = max(self._next_at, time.monotonic() - 2 * NAP_S) + 1 / self._per_second

    def nap(self) -> None:
        """Wait until another one may begin, but not for longer than a nap."""
        time.sleep(max(0.0, min(NAP_S, self._next_at - time.monotonic())))
