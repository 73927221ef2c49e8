"""Seats: how many attempts of a kind may run at once, in all workers together, and who waits for one.

Whoever finds no seat stands in a line, and is told when to look again: those at its head soon, all others about when
their turn is to come, as far as the pace of late tells. So a message looks some five times in a line of ten thousand,
and the head of the line as often as it takes to fill a seat soon after it is free, however many wait behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

# A worker may be late by so much with a message that is to look again; afterwards others do not wait for it.
GRACE_MS = 5_000
# How long a seat was held of late, until somebody has left one.
FIRST_PACE_MS = 100
# The soonest, and for the head of the line the latest, to look again.
SOONEST_MS, HEAD_LATEST_MS = 100, 5_000
# All others look again within the longest of these: so long; so many milliseconds for each that is before them; and for
# as long as a seat is held, up to so long.
LATEST_MS, LATEST_FOR_EACH_MS, LATEST_BY_PACE_MS = 10_000, 20, 60_000
# For how long the pace is remembered.
PACE_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class SeatRequest:
    """A delivery's request for a seat, and the seat itself once it is given.

    Attributes:
        name: what is limited.
        owner: the message id.
        token: names this delivery; a request that is repeated gets the seat that it has.
        limit: how many may be taken at once.
        lease_ms: how long the seat is kept without renewal.
        age_ms: for how long the message could have run by now; who has waited longest is first in the line.
    """

    name: str
    owner: str
    token: str
    limit: int
    lease_ms: int = 30_000
    age_ms: int = 0


@dataclass(frozen=True, slots=True)
class SeatAnswer:
    """What the store says to a :class:`SeatRequest`.

    Attributes:
        is_taken: whether the seat is given.
        ahead: how many are before the message in the line.
        delay_ms: in how long to look again, if it is not given.
    """

    is_taken: bool
    ahead: int = 0
    delay_ms: int = 0


class Seats(Protocol):
    """The part of a store that is of seats."""

    def sit(self, request: SeatRequest) -> SeatAnswer:
        """Give a seat to *request*, or a place in the line."""

    def keep_seats(self, held: Sequence[SeatRequest]) -> list[bool]:
        """Extend the leases of *held*; return for each if it is still so. What is gone comes back if it fits."""

    def leave_seat(self, seat: SeatRequest, held_ms: int | None) -> None:
        """Free *seat*, which was held for *held_ms* milliseconds; None if that is known already."""


def head_of(limit: int) -> int:
    """Return how many of the line may take a seat that is free; the first of them that looks has it."""
    return 2 * limit + 4


def may_sit(limit: int, taken: int, ahead: int) -> bool:
    """Return whether one that *ahead* others are before may take a seat while *taken* are."""
    # Where no seat is taken, nobody at the head has looked for too long.
    return taken < limit and (ahead < head_of(limit) or taken == 0)


def look_again_ms(limit: int, ahead: int, pace_ms: float) -> int:
    """Return in how long one that *ahead* others are before is to look again; seats are held for *pace_ms*."""
    behind = ahead - head_of(limit) + 1
    if behind <= 0:
        return int(min(max(pace_ms / 4, SOONEST_MS), HEAD_LATEST_MS))
    latest_ms = max(LATEST_MS, LATEST_FOR_EACH_MS * ahead, min(pace_ms, LATEST_BY_PACE_MS))
    # A little before its turn, lest the head of the line become empty.
    return int(min(max(0.8 * pace_ms * behind / limit, SOONEST_MS), latest_ms))


def pace_after(pace_ms: float | None, held_ms: int) -> float:
    """Return for how long seats are held, after one of *held_ms*."""
    return held_ms if pace_ms is None else pace_ms + (held_ms - pace_ms) / 8
