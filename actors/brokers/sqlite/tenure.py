"""How long what a consumer has taken is its own."""

from __future__ import annotations

from actors.brokers.delivery import Epoch
from middleware.letter import now_ms


class Tenure(Epoch):
    """The time of one holder; what it took belongs to somebody else once it is over.

    All processes that use a file have the clock of one machine, so that they agree on when a lease ends, also when the
    clock is set.

    Args:
        holder: its number.
        until: when its lease ends unless it is renewed, in milliseconds since the Unix epoch.
    """

    def __init__(self, holder: int, until: int) -> None:
        self.holder = holder
        self.until = until
        self._is_over = False

    @property
    def over(self) -> bool:
        """Whether somebody else may have what it took."""
        return self._is_over or now_ms() >= self.until

    @over.setter
    def over(self, is_over: bool) -> None:
        self._is_over = is_over
