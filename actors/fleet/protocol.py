"""Where the processes of a deployment leave what they tell of themselves: one protocol, and a fleet for each place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

# How long what a process has told last is kept, in milliseconds: one that is killed is shown as silent for so long.
KEEP_MS = 5 * 60 * 1000
# So many processes are kept, those that were heard of last; and so many events, the newest.
MOST_MEMBERS = 1_000
MOST_EVENTS = 10_000


@dataclass(frozen=True, slots=True)
class Interest:
    """What somebody wants of all processes just now.

    Attributes:
        watched: reports each second.
        followed: an event for each attempt that ends.
    """

    watched: bool = False
    followed: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """What a process has told of itself.

    Attributes:
        member: which one.
        text: what it has told; see :class:`~actors.fleet.report.Report`.
        age_ms: how long ago that was, in milliseconds on the fleet's clock.
    """

    member: str
    text: str
    age_ms: int


class Fleet(Protocol):
    """All processes that share a store. Every method may be called from any thread.

    Raises:
        StoreUnavailable: from every method, when it does not answer in time.
    """

    def beat(self, member: str, text: str, *, keep_ms: int) -> Interest:
        """Keep *text* as what *member* tells of itself, for *keep_ms*; return what is wanted. One round trip."""

    def leave(self, member: str) -> None:
        """Forget *member*."""

    def members(self) -> Sequence[Kept]:
        """Return what is kept of each process; those that were heard of last come first."""

    def interest(self) -> Interest:
        """Return what is wanted; costs less than a beat."""

    def want(self, interest: Interest, *, for_ms: int) -> None:
        """Let all processes know of *interest* for *for_ms* from now; what another wants is wanted all the same."""

    def publish(self, events: Sequence[str]) -> None:
        """Add *events*, and drop the oldest where there are more than ``MOST_EVENTS``."""

    def newest(self, limit: int) -> tuple[Sequence[str], str]:
        """Return the newest events, the oldest of them first, and the cursor of what comes after them."""

    def after(self, cursor: str, *, limit: int) -> tuple[Sequence[str], str]:
        """Return the events after *cursor* that are still kept, the first *limit* of them, and the next cursor."""
