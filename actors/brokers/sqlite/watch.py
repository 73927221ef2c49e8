"""When a consumer looks into its queue."""

from __future__ import annotations

from time import monotonic

from actors.brokers.sqlite.bell import Ear
from middleware.letter import now_ms


class Watch:
    """Waits for a ring, for the moment at which something becomes ready, or for it to be time to look anyway.

    Args:
        ear: hears rings.

    Attributes:
        is_due: whether to look.
    """

    def __init__(self, ear: Ear) -> None:
        self.is_due = True
        self._ear = ear
        self._moment: int | None = None
        self._at = 0.0

    def saw(self, moment: int | None) -> bool:
        """Note what a look has shown; return whether there is something to take now.

        Args:
            moment: when there is, in milliseconds since the Unix epoch; None for not so far.
        """
        self._moment = moment
        self._at = monotonic() + self._ear.look_every_s
        self.is_due = self._is_reached()
        return self.is_due

    def wait(self, seconds: float) -> None:
        """Wait until it is time to look, until somebody calls :meth:`Ear.wake`, or for *seconds*."""
        if not self.is_due:
            seconds = min(seconds, self._at - monotonic())
            if self._moment is not None:
                seconds = min(seconds, (self._moment - now_ms()) / 1000)
        is_rung = self._ear.wait(seconds)
        if is_rung or self._is_reached() or monotonic() >= self._at:
            self.is_due = True

    def _is_reached(self) -> bool:
        return self._moment is not None and self._moment <= now_ms()
