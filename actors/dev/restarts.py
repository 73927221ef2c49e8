"""When a process that has died by itself is started again."""

from __future__ import annotations

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
# One that has lived for so long has died of something new.
STABLE_AFTER_S = 10.0


class Restarts:
    """Lets a process that dies again and again wait ever longer, from half a second to half a minute."""

    def __init__(self) -> None:
        self._deaths = 0

    def died(self, lived_s: float) -> float:
        """Return how long to wait before it is started again, in seconds, now that it has lived for *lived_s*."""
        if lived_s >= STABLE_AFTER_S:
            self._deaths = 0
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**self._deaths)
        self._deaths = min(self._deaths + 1, 16)
        return pause_s

    def forget(self) -> None:
        """Begin anew, as with new code."""
        self._deaths = 0
