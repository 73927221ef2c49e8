"""How many dead letters there are, since when, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actors.dead_letters.selection import Dead

# How many of each queue are looked at. They are the oldest, and so the first to expire.
HEADS = 100
# What expires sooner is warned of, in milliseconds.
SOON_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Stock:
    """The dead letters of a logical queue.

    Times are milliseconds since the Unix epoch, and those of the first 100 letters of each physical queue.

    Attributes:
        queue: the logical queue.
        count: how many there are.
        oldest: when the first of them died; None where there is none, or it is not known.
        expires: when the next of them is dropped; None for never.
        expiring: the times at which they are dropped, of those that are.
    """

    queue: str
    count: int
    oldest: int | None
    expires: int | None
    expiring: tuple[int, ...] = ()


def stock_of(queue: str, count: int, heads: Sequence[Dead]) -> Stock:
    """Return the stock of *queue*, which has *count* letters, the first of them *heads*."""
    oldest = min((dead.letter.died for dead in heads if dead.letter.died), default=None)
    expiring = tuple(sorted(expires for dead in heads if (expires := dead.expires) is not None))
    return Stock(queue, count, oldest, min(expiring, default=None), expiring)
