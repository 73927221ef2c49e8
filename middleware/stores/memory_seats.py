"""Seats in this process's memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from middleware.stores.seats import (
    FIRST_PACE_MS,
    GRACE_MS,
    SeatAnswer,
    SeatRequest,
    look_again_ms,
    may_sit,
    pace_after,
)


@dataclass(slots=True)
class _Room:
    """The seats of one name.

    Attributes:
        taken: when the lease of each seat ends, by its token, in milliseconds since the Unix epoch.
        line: since when each message waits, and when it is to look again, likewise.
        pace_ms: for how long seats are held of late.
    """

    taken: dict[str, int] = field(default_factory=dict)
    line: dict[str, tuple[int, int]] = field(default_factory=dict)
    pace_ms: float | None = None

    def sweep(self, now: int) -> None:
        self.taken = {token: until for token, until in self.taken.items() if until > now}
        self.line = {owner: place for owner, place in self.line.items() if place[1] > now - GRACE_MS}


class MemorySeats:
    """See :class:`~middleware.stores.seats.Seats`; each call is given the time, milliseconds since the Unix epoch."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Room] = {}

    def sit(self, request: SeatRequest, now: int) -> SeatAnswer:
        """Give a seat to *request*, or a place in the line."""
        room = self._room(request.name, now)
        since, _ = room.line.get(request.owner, (now - request.age_ms, 0))
        ahead = sum((other, owner) < (since, request.owner) for owner, (other, _) in room.line.items())
        if request.token in room.taken or may_sit(request.limit, len(room.taken), ahead):
            room.taken[request.token] = now + request.lease_ms
            room.line.pop(request.owner, None)
            return SeatAnswer(True, ahead)
        delay_ms = look_again_ms(request.limit, ahead, FIRST_PACE_MS if room.pace_ms is None else room.pace_ms)
        room.line[request.owner] = (since, now + delay_ms)
        return SeatAnswer(False, ahead, delay_ms)

    def keep(self, held: Sequence[SeatRequest], now: int) -> list[bool]:
        """Extend the leases of *held*; return for each whether it is still so."""
        return [self._keep(each, now) for each in held]

    def leave(self, seat: SeatRequest, held_ms: int | None, now: int) -> None:
        """Free *seat*, which was held for *held_ms* milliseconds; None if that is known already."""
        room = self._room(seat.name, now)
        if room.taken.pop(seat.token, None) is not None and held_ms is not None:
            room.pace_ms = pace_after(room.pace_ms, held_ms)
        if not room.taken and not room.line and room.pace_ms is None:
            del self._rooms[seat.name]

    def _keep(self, seat: SeatRequest, now: int) -> bool:
        room = self._room(seat.name, now)
        is_held = seat.token in room.taken or len(room.taken) < seat.limit
        if is_held:
            room.taken[seat.token] = now + seat.lease_ms
        return is_held

    def _room(self, name: str, now: int) -> _Room:
        room = self._rooms.setdefault(name, _Room())
        room.sweep(now)
        return room
