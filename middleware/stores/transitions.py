"""What becomes of a record: the rules of the stores that keep records as they are. It keeps nothing, and has no clock.

RedisStore has the same rules in Lua, where Redis decides for all at once; the conformance suite holds them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from middleware.stores.notes import Abort
from middleware.stores.protocol import (
    ABORTED,
    WORKER_LOST,
    Answer,
    Claim,
    Ending,
    Kept,
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
    Ending.ABORTED: State.FAILED,
    Ending.WAITING: State.WAITING,
    Ending.ABANDONED: State.WAITING,
    # Not removed: a renewal that is on its way would bring it back.
    Ending.FORGOTTEN: State.RELEASED,
}


def begin(
    kept: Kept | None, request: Request, now: int, *, next_fence: Callable[[], int], note: int | None = None
) -> tuple[Answer, Kept | None]:
    """Return the answer to *request*, and what is then to be kept; None if that is what was.

    Args:
        kept: what is kept of the key.
        request: the request.
        now: the time, in milliseconds since the Unix epoch.
        next_fence: called for a new fencing token.
        note: the number of the note that the message is to be aborted, if there is one.
    """
    verdict, lost, retries, ends = _judge(kept, request, now)
    if note is not None and note >= request.replayed * 1000 and not _stands(kept, request, verdict):
        ended = _aborted(kept, request, now, next_fence, lost, retries)
        return Answer(Verdict.ABORTED, owner=request.owner, error=ABORTED), ended
    if kept is None or verdict is Verdict.RUN:
        unstarted, fence = request.park or lost > 0 or request.max_losses == 1, 0
        if kept is not None and kept.record.state is State.RUNNING and kept.token == request.token:
            unstarted, fence = kept.unstarted, kept.record.fence
        fence = fence or next_fence()
        running = _running(request, fence, now, lost=lost, retries=retries, unstarted=unstarted)
        return Answer(Verdict.RUN, fence, lost, retries, request.owner, request.lease_ms), running
    record, ended = kept.record, None
    if record.state is State.RUNNING and verdict in (Verdict.UNKNOWN, Verdict.POISON):
        record = replace(
            record,
            state=State.UNKNOWN if verdict is Verdict.UNKNOWN else State.FAILED,
            fence=next_fence(),
            until=0,
            lost=lost,
            error=WORKER_LOST,
            changed=now,
            expires=now + request.ttl_ms,
        )
        ended = Kept(record, request.token)
    return Answer(verdict, 0, lost, retries, record.owner, max(0, ends - now), record.result, record.error), ended


def removes_its_note(answer: Answer, kept: Kept | None) -> bool:
    """Return whether what :func:`begin` has returned makes the note of the message superfluous."""
    return answer.verdict is Verdict.ABORTED and kept is not None


def abort(records: Iterable[Record | None], message_id: str, now: int) -> Abort:
    """Return what *records*, those of the keys that a message may hold, say of it."""
    for record in records:
        if record is not None and record.owner == message_id and record.state is not State.RELEASED:
            if record.state is State.RUNNING and now < record.until:
                return Abort.RUNNING
            return Abort.WAITING if record.state in (State.RUNNING, State.WAITING) else Abort.ENDED
    return Abort.UNKNOWN


def names_its_key(request: Request, answer: Answer) -> bool:
    """Return whether *request*, which got *answer*, is to be found by its message's id."""
    return answer.verdict is not Verdict.CONFLICT and request.key != request.owner


def finish(kept: Kept | None, outcome: Outcome, now: int) -> Kept | None:
    """Return what is kept after *outcome*; None if it does not count."""
    claim, ending = outcome.claim, outcome.ending
    request, lost = claim.request, claim.lost
    if kept is not None:
        if kept.record.fence != claim.fence or (kept.record.state is State.DONE and ending is not Ending.DONE):
            return None
        lost = kept.record.lost
    state = _AFTER[ending]
    if state in (State.DONE, State.RELEASED):
        return Kept(_record(request, state, claim.fence, now, result=outcome.result if state is State.DONE else ""))
    retries = claim.retries if ending is Ending.ABANDONED else outcome.retries
    due = now + outcome.due_ms if state is State.WAITING else 0
    error = ABORTED if ending is Ending.ABORTED else outcome.error
    return Kept(_record(request, state, claim.fence, now, until=due, lost=lost, retries=retries, error=error))


def renew(kept: Kept | None, claim: Claim, now: int, *, mark: bool = False) -> Kept | None:
    """Return what is kept after the lease of *claim* was extended; None if it is not held. *mark*: its work starts."""
    lost, retries, unstarted = claim.lost, claim.retries, False
    if kept is not None:
        record = kept.record
        if record.fence != claim.fence or record.state is not State.RUNNING:
            return None
        lost, retries, unstarted = record.lost, record.retries, kept.unstarted and not mark
    return _running(claim.request, claim.fence, now, lost=lost, retries=retries, unstarted=unstarted)


def override(was: Record, state: State, result: str, now: int, *, force: bool, next_fence: Callable[[], int]) -> Kept:
    """Return what is kept after an operator has put a key into *state*.

    Raises:
        Refused: its lease is alive, and *force* is not given.
    """
    if was.state is State.RUNNING and now < was.until and not force:
        raise Refused("its lease is alive: a worker is at it")
    # It is remembered for as long from now on as it was to be from its last change.
    ttl_ms = max(1, was.expires - max(was.changed, was.until))
    record = replace(was, state=state, fence=next_fence(), until=0, lost=0, retries=0, error="")
    return Kept(replace(record, result=result, changed=now, expires=now + ttl_ms))


def restore(there: Kept | None, moved: Kept, now: int) -> bool:
    """Return whether *moved*, which another store has kept, is to be kept in place of what is *there*."""
    if moved.record.expires <= now:
        return False
    if there is None:
        return True
    is_held = there.record.state is State.RUNNING and now < there.record.until
    return not is_held and there.record.changed < moved.record.changed


def _stands(kept: Kept | None, request: Request, verdict: Verdict) -> bool:
    """Return whether *verdict* stands although the message is to be aborted: it has ended, or runs elsewhere."""
    if kept is None or kept.record.owner != request.owner:
        return False
    if kept.record.state is State.RUNNING:
        return verdict is Verdict.BUSY
    return kept.record.state is not State.WAITING and verdict.value == kept.record.state.value


def _aborted(
    kept: Kept | None, request: Request, now: int, next_fence: Callable[[], int], lost: int, retries: int
) -> Kept | None:
    """Return what is kept of the key of an aborted message; None if the key is another's."""
    if kept is not None and kept.record.owner != request.owner and kept.record.state is not State.RELEASED:
        return None
    return Kept(_record(request, State.FAILED, next_fence(), now, lost=lost, retries=retries, error=ABORTED))


def _judge(kept: Kept | None, request: Request, now: int) -> tuple[Verdict, int, int, int]:
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


def _running(request: Request, fence: int, now: int, *, lost: int, retries: int, unstarted: bool) -> Kept:
    until = now + request.lease_ms
    record = _record(request, State.RUNNING, fence, now, until=until, lost=lost, retries=retries)
    return Kept(record, request.token, unstarted)


def _record(
    request: Request,
    state: State,
    fence: int,
    now: int,
    *,
    until: int = 0,
    lost: int = 0,
    retries: int = 0,
    result: str = "",
    error: str = "",
) -> Record:
    """Return a record of *request*, remembered from now or, if there is such a time, from *until* on."""
    return Record(
        digest=request.digest,
        state=state,
        scope=request.scope,
        key=request.key,
        owner=request.owner,
        fence=fence,
        until=until,
        lost=lost,
        retries=retries,
        replays=request.replays,
        fingerprint=request.fingerprint,
        result=result,
        error=error,
        changed=now,
        expires=(until or now) + request.ttl_ms,
    )
