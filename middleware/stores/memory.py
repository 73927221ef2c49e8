"""Idempotency records in this process's memory: for tests, and for one process alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from middleware.stores import transitions
from middleware.stores.memory_seats import MemorySeats
from middleware.stores.notes import MOST_NOTES, NOTE_MS, Abort
from middleware.stores.protocol import OPEN, Alias, Answer, Claim, Ending, Kept, Outcome, Record, Request, State
from middleware.stores.seats import SeatAnswer, SeatRequest

# Fewer entries than this are never looked through for what has expired.
_FEW = 1_000


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class MemoryStore:
    """See :class:`~middleware.stores.protocol.Store`. It is never unavailable.

    Args:
        now: returns the time in milliseconds since the Unix epoch.
    """

    def __init__(self, now: Callable[[], int] = _now_ms) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._kept: dict[str, Kept] = {}
        self._aliases: dict[str, tuple[str, int]] = {}
        self._groups: dict[str, tuple[int, set[str], int]] = {}
        # In the order of their numbers.
        self._notes: dict[str, int] = {}
        self._seats = MemorySeats()
        self._fence = 0
        self._full = _FEW

    def exchange(self, outcomes: Sequence[Outcome], requests: Sequence[Request]) -> tuple[list[bool], list[Answer]]:
        """Record *outcomes*, then answer *requests*."""
        with self._lock:
            now = self._now()
            self._sweep(now)
            counted = [self._finish(outcome, now) for outcome in outcomes]
            return counted, [self._begin(request, now) for request in requests]

    def renew(self, claims: Sequence[Claim]) -> list[bool]:
        """Extend the leases of *claims*; return for each whether it is still held."""
        with self._lock:
            now = self._now()
            return [self._renew(claim, now) for claim in claims]

    def mark(self, claim: Claim) -> bool:
        """Note that the work of *claim* starts, and extend its lease; return whether it is still held."""
        with self._lock:
            return self._renew(claim, self._now(), mark=True)

    def inspect(self, digest: str) -> Record | None:
        """Return the record of *digest*."""
        with self._lock:
            kept = self._get(digest, self._now())
            return kept.record if kept is not None else None

    def digest_of(self, message_id: str) -> str | None:
        """Return the digest of the key that a message with a key of its own asked for."""
        with self._lock:
            digest, expires = self._aliases.get(message_id, ("", 0))
            return digest if expires > self._now() else None

    def list_open(self, *, after: str = "", limit: int = 100) -> tuple[list[Record], str]:
        """Return a page of the records that are not done, and what to give as *after* for the next."""
        place = _place(after)
        with self._lock:
            now = self._now()
            there = [kept.record for kept in self._kept.values() if kept.record.expires > now]
        rest = sorted(
            (record for record in there if record.state in OPEN and (record.expires, record.digest) > place),
            key=lambda record: (record.expires, record.digest),
        )
        return rest[:limit], f"{rest[limit - 1].expires} {rest[limit - 1].digest}" if len(rest) > limit else ""

    def release(self, digest: str, *, force: bool = False) -> Record:
        """Free a key, so that the next message with it runs; return the record as it was."""
        return self._override(digest, State.RELEASED, "", force=force)

    def complete(self, digest: str, *, result: str = "", force: bool = False) -> Record:
        """Note that a key's work is done, so that it does not run again; return the record as it was."""
        return self._override(digest, State.DONE, result, force=force)

    def open_group(self, group: str, size: int, *, ttl_ms: int) -> None:
        """Note that *group* has *size* members."""
        with self._lock:
            now = self._now()
            self._sweep(now)
            _, arrived, expires = self._groups.get(group, (0, set(), 0))
            self._groups[group] = (size, arrived if expires > now else set(), now + ttl_ms)

    def arrive(self, group: str, member: str) -> bool:
        """Note that *member* has arrived, however often; return whether all have."""
        with self._lock:
            size, arrived, expires = self._groups.get(group, (0, set(), 0))
            if expires <= self._now():
                return False
            arrived.add(member)
            return len(arrived) >= size

    def restore(self, kept: Sequence[Kept], aliases: Sequence[Alias], *, fence: int) -> list[bool]:
        """Take over what another store has *kept*, with its *aliases*."""
        with self._lock:
            now = self._now()
            self._sweep(now)
            self._fence = max(self._fence, fence)
            taken = [transitions.restore(self._get(each.record.digest, now), each, now) for each in kept]
            self._kept |= {each.record.digest: each for each, is_taken in zip(kept, taken, strict=True) if is_taken}
            for alias in aliases:
                if self._aliases.get(alias.message_id, ("", 0))[1] <= now:
                    self._aliases[alias.message_id] = (alias.digest, alias.expires)
            return taken

    def abort(self, message_id: str, digests: Sequence[str]) -> Abort:
        """Note that a message is to be aborted, unless it has ended."""
        with self._lock:
            now = self._now()
            there = [self._get(digest, now) for digest in digests]
            found = transitions.abort([kept.record if kept is not None else None for kept in there], message_id, now)
            if found is not Abort.ENDED:
                oldest = (now - NOTE_MS) * 1000
                notes = {name: number for name, number in self._notes.items() if number > oldest and name != message_id}
                self._notes = dict(list(notes.items())[1 - MOST_NOTES :]) | {message_id: self._next_fence(now)}
            return found

    def aborts(self, after: int, *, limit: int = 1_000) -> list[tuple[str, int]]:
        """Return messages that are to be aborted, each with the number of its note."""
        with self._lock:
            return [(name, number) for name, number in self._notes.items() if number > after][:limit]

    def sit(self, request: SeatRequest) -> SeatAnswer:
        """Give a seat to *request*, or a place in the line."""
        with self._lock:
            return self._seats.sit(request, self._now())

    def keep_seats(self, held: Sequence[SeatRequest]) -> list[bool]:
        """Extend the leases of *held*; return for each whether it is still so."""
        with self._lock:
            return self._seats.keep(held, self._now())

    def leave_seat(self, seat: SeatRequest, held_ms: int | None) -> None:
        """Free *seat*, which was held for *held_ms* milliseconds; None if that is known already."""
        with self._lock:
            self._seats.leave(seat, held_ms, self._now())

    def now(self) -> int:
        """Return the store's time, in milliseconds since the Unix epoch."""
        return self._now()

    def _get(self, digest: str, now: int) -> Kept | None:
        kept = self._kept.get(digest)
        return kept if kept is not None and kept.record.expires > now else None

    def _next_fence(self, now: int) -> int:
        self._fence = max(self._fence, now * 1000) + 1
        return self._fence

    def _begin(self, request: Request, now: int) -> Answer:
        there = self._get(request.digest, now)
        note = self._notes.get(request.owner)
        answer, kept = transitions.begin(there, request, now, next_fence=lambda: self._next_fence(now), note=note)
        if transitions.removes_its_note(answer, kept):
            del self._notes[request.owner]
        if kept is not None:
            self._kept[request.digest] = kept
        if transitions.names_its_key(request, answer):
            self._aliases[request.owner] = (request.digest, now + request.lease_ms + request.ttl_ms)
        return answer

    def _finish(self, outcome: Outcome, now: int) -> bool:
        digest = outcome.claim.request.digest
        counts = self._keep(digest, transitions.finish(self._get(digest, now), outcome, now))
        if counts and outcome.ending is Ending.ABORTED:
            self._notes.pop(outcome.claim.request.owner, None)
        return counts

    def _renew(self, claim: Claim, now: int, *, mark: bool = False) -> bool:
        digest = claim.request.digest
        return self._keep(digest, transitions.renew(self._get(digest, now), claim, now, mark=mark))

    def _keep(self, digest: str, kept: Kept | None) -> bool:
        if kept is not None:
            self._kept[digest] = kept
        return kept is not None

    def _override(self, digest: str, state: State, result: str, *, force: bool) -> Record:
        with self._lock:
            now = self._now()
            kept = self._get(digest, now)
            if kept is None:
                raise KeyError(digest)
            self._kept[digest] = transitions.override(
                kept.record, state, result, now, force=force, next_fence=lambda: self._next_fence(now)
            )
            return kept.record

    def _sweep(self, now: int) -> None:
        """Drop what has expired, whenever there is twice as much as was left the last time."""
        if len(self._kept) + len(self._aliases) + len(self._groups) < self._full:
            return
        self._kept = {digest: kept for digest, kept in self._kept.items() if kept.record.expires > now}
        self._aliases = {owner: alias for owner, alias in self._aliases.items() if alias[-1] > now}
        self._groups = {name: group for name, group in self._groups.items() if group[-1] > now}
        self._full = max(_FEW, 2 * (len(self._kept) + len(self._aliases) + len(self._groups)))


def _place(after: str) -> tuple[int, str]:
    """Return the expiry and the digest that the cursor *after* names."""
    expires, _, digest = after.partition(" ")
    return (int(expires), digest) if after else (0, "")
