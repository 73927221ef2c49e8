"""Idempotency records in this process's memory: for tests, and for one process alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from middleware.stores.protocol import (
    OPEN,
    WORKER_LOST,
    Answer,
    Claim,
    Ending,
    Outcome,
    Record,
    Refused,
    Request,
    State,
    Verdict,
)

_AFTER = {
    Ending.DONE: State.DONE,
    Ending.FAILED: State.FAILED,
    Ending.WAITING: State.WAITING,
    Ending.ABANDONED: State.WAITING,
    # Not removed: a renewal that is on its way would bring it back.
    Ending.FORGOTTEN: State.RELEASED,
}
# Fewer entries than this are never looked through for what has expired.
_FEW = 1_000


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class _Kept:
    """A record, which delivery it answers to, and whether a loss is not to be blamed on it, since it never started."""

    record: Record
    token: str = ""
    unstarted: bool = False


class MemoryStore:
    """See :class:`~middleware.stores.protocol.Store`. It is never unavailable.

    Args:
        now: returns the time in milliseconds since the Unix epoch.
    """

    def __init__(self, now: Callable[[], int] = _now_ms) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._aliases: dict[str, tuple[str, int]] = {}
        self._groups: dict[str, tuple[int, set[str], int]] = {}
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

    def now(self) -> int:
        """Return the store's time, in milliseconds since the Unix epoch."""
        return self._now()

    def _get(self, digest: str, now: int) -> _Kept | None:
        kept = self._kept.get(digest)
        return kept if kept is not None and kept.record.expires > now else None

    def _next_fence(self, now: int) -> int:
        self._fence = max(self._fence, now * 1000) + 1
        return self._fence

    def _begin(self, request: Request, now: int) -> Answer:
        kept = self._get(request.digest, now)
        verdict, lost, retries, ends = _judge(kept, request, now)
        if verdict is not Verdict.CONFLICT and request.key != request.owner:
            self._aliases[request.owner] = (request.digest, now + request.lease_ms + request.ttl_ms)
        if kept is None or verdict is Verdict.RUN:
            unstarted, fence = request.park or lost > 0 or request.max_losses == 1, 0
            if kept is not None and kept.record.state is State.RUNNING and kept.token == request.token:
                unstarted, fence = kept.unstarted, kept.record.fence
            fence = fence or self._next_fence(now)
            self._run(request, fence, now, lost=lost, retries=retries, unstarted=unstarted)
            return Answer(Verdict.RUN, fence, lost, retries, request.owner, request.lease_ms)
        record = kept.record
        if record.state is State.RUNNING and verdict in (Verdict.UNKNOWN, Verdict.POISON):
            record = replace(
                record,
                state=State.UNKNOWN if verdict is Verdict.UNKNOWN else State.FAILED,
                fence=self._next_fence(now),
                until=0,
                lost=lost,
                error=WORKER_LOST,
                changed=now,
                expires=now + request.ttl_ms,
            )
            self._kept[request.digest] = _Kept(record, request.token)
        return Answer(verdict, 0, lost, retries, record.owner, max(0, ends - now), record.result, record.error)

    def _finish(self, outcome: Outcome, now: int) -> bool:
        claim, ending = outcome.claim, outcome.ending
        request, lost = claim.request, claim.lost
        kept = self._get(request.digest, now)
        if kept is not None:
            if kept.record.fence != claim.fence or (kept.record.state is State.DONE and ending is not Ending.DONE):
                return False
            lost = kept.record.lost
        record = _record(request, _AFTER[ending], claim.fence, now)
        if ending is Ending.DONE:
            record = replace(record, result=outcome.result)
        elif ending is not Ending.FORGOTTEN:
            retries = claim.retries if ending is Ending.ABANDONED else outcome.retries
            record = replace(record, lost=lost, retries=retries, error=outcome.error)
        if record.state is State.WAITING:
            due = now + outcome.due_ms
            record = replace(record, until=due, expires=due + request.ttl_ms)
        self._kept[request.digest] = _Kept(record)
        return True

    def _renew(self, claim: Claim, now: int, *, mark: bool = False) -> bool:
        kept = self._get(claim.request.digest, now)
        lost, retries, unstarted = claim.lost, claim.retries, False
        if kept is not None:
            record = kept.record
            if record.fence != claim.fence or record.state is not State.RUNNING:
                return False
            lost, retries, unstarted = record.lost, record.retries, kept.unstarted and not mark
        self._run(claim.request, claim.fence, now, lost=lost, retries=retries, unstarted=unstarted)
        return True

    def _run(self, request: Request, fence: int, now: int, *, lost: int, retries: int, unstarted: bool) -> None:
        until = now + request.lease_ms
        record = replace(_record(request, State.RUNNING, fence, now), until=until, expires=until + request.ttl_ms)
        self._kept[request.digest] = _Kept(replace(record, lost=lost, retries=retries), request.token, unstarted)

    def _override(self, digest: str, state: State, result: str, *, force: bool) -> Record:
        with self._lock:
            now = self._now()
            kept = self._get(digest, now)
            if kept is None:
                raise KeyError(digest)
            was = kept.record
            if was.state is State.RUNNING and now < was.until and not force:
                raise Refused("its lease is alive: a worker is at it")
            # It is remembered for as long from now on as it was to be from its last change.
            ttl_ms = max(1, was.expires - max(was.changed, was.until))
            record = replace(was, state=state, fence=self._next_fence(now), until=0, lost=0, retries=0, error="")
            self._kept[digest] = _Kept(replace(record, result=result, changed=now, expires=now + ttl_ms))
            return was

    def _sweep(self, now: int) -> None:
        """Drop what has expired, whenever there is twice as much as was left the last time."""
        if len(self._kept) + len(self._aliases) + len(self._groups) < self._full:
            return
        self._kept = {digest: kept for digest, kept in self._kept.items() if kept.record.expires > now}
        self._aliases = {owner: alias for owner, alias in self._aliases.items() if alias[-1] > now}
        self._groups = {name: group for name, group in self._groups.items() if group[-1] > now}
        self._full = max(_FEW, 2 * (len(self._kept) + len(self._aliases) + len(self._groups)))


def _judge(kept: _Kept | None, request: Request, now: int) -> tuple[Verdict, int, int, int]:
    """Return the verdict on *request*, losses and retries to tell with it, and when the holder's time ends."""
    if kept is None:
        return Verdict.RUN, request.lost, 0, 0
    record = kept.record
    same, told, state = record.owner == request.owner, kept.token == request.token, record.state
    lost, retries, ends = max(record.lost, request.lost), record.retries, record.until
    if state is State.RELEASED or (state is State.FAILED and not same and not request.hold):
        return Verdict.RUN, request.lost, 0, 0
    if not same and request.fingerprint and record.fingerprint and request.fingerprint != record.fingerprint:
        return Verdict.CONFLICT, lost, retries, ends
    if told and state in (State.RUNNING, State.FAILED):
        return Verdict.RUN if state is State.RUNNING else Verdict.POISON, lost, retries, ends
    if same and state in (State.FAILED, State.UNKNOWN) and request.replays > record.replays:
        return Verdict.RUN, lost, 0, 0
    if state not in (State.RUNNING, State.WAITING):
        return Verdict(state.value), lost, retries, ends
    if state is State.WAITING and not same:
        ends += request.lease_ms
    if now < ends:
        return Verdict.BUSY, lost, retries, ends
    if state is State.RUNNING and not kept.unstarted:
        lost += 1
        if request.park:
            return Verdict.UNKNOWN, lost, retries, ends
        if same and lost >= request.max_losses:
            return Verdict.POISON, lost, retries, ends
    return Verdict.RUN, lost, retries if same else 0, ends


def _record(request: Request, state: State, fence: int, now: int) -> Record:
    return Record(
        digest=request.digest,
        state=state,
        scope=request.scope,
        key=request.key,
        owner=request.owner,
        fence=fence,
        replays=request.replays,
        fingerprint=request.fingerprint,
        changed=now,
        expires=now + request.ttl_ms,
    )


def _place(after: str) -> tuple[int, str]:
    """Return the expiry and the digest that the cursor *after* names."""
    expires, _, digest = after.partition(" ")
    return (int(expires), digest) if after else (0, "")
