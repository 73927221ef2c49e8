"""What a consumer tells of itself to those who look after its process."""

from __future__ import annotations

from abc import abstractmethod
from time import monotonic

import dramatiq


class Watched(dramatiq.Consumer):
    """A consumer that says whether it comes round, and whether it takes messages; to be read from any thread.

    Attributes:
        turned_at_s: when it last came round, in seconds as ``time.monotonic`` counts them. It waits for no message, and
            for no server to come back: an old one means that it hangs.
        is_closed: another is to be made in its place, or none.
    """

    def __init__(self) -> None:
        self.turned_at_s = monotonic()
        self.is_closed = False

    @property
    @abstractmethod
    def problem(self) -> str:
        """Why it takes no messages just now; empty if it does."""
