"""Keeps the runs of a schedule apart, whichever worker has them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware, MiddlewareError, SkipMessage

from middleware.aborted import is_aborted
from middleware.guard import LOOK_AGAIN_MS, Guard, Postponed, new_token
from middleware.guarded import Guarded
from middleware.idempotency import EARLY_MS, GuardFailed
from middleware.keys import digest
from middleware.letter import replays_of
from middleware.stores import Claim, Ending, Outcome, Record, Refused, Request, State, Store, StoreUnavailable, Verdict
from middleware.tick_runs import tick_of
from middleware.trail import retries_of, trail_of

log = logging.getLogger(__name__)

SKIP, QUEUE_ONE = "skip", "queue_one"

# How long a tick that waits for its turn keeps its place without looking again, in milliseconds.
LINE_MS = 10_000
# How long the end of a run waits for a store that does not answer, in seconds. Untold, it is over a lease later.
TELL_FOR_S = 5.0


class Overlaps(SkipMessage):
    """Another run of the schedule goes on, and this one is not to be."""


class Overlap(Middleware):
    """Skips a tick, or lets it wait, while another run of its schedule goes on; for ticks that say ``overlap``.

    A run holds the *slot* of its schedule, a key like any other, from its first attempt to its end: the lease is
    renewed with those of all keys, and between two attempts the slot is kept for the message. A tick that waits has
    the one place in *line*, also a key, and is delayed to look again; no later one overtakes it. What may have begun is
    never skipped: a retry, a replay, and a message whose worker was lost wait for the slot whatever the policy.

    It stands behind Idempotency, which asks for the message's own key before, and ends it after, and before Retries.

    Args:
        store: called for the store.
        guard: that of Idempotency.
    """

    def __init__(self, *, store: Callable[[], Store], guard: Guard) -> None:
        self._store = store
        self._guard = guard

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Let the attempt start if no other run of its schedule goes on.

        Raises:
            Overlaps, Postponed: one does, and this one is skipped, or looks again later.
            GivenBack, TryLater: the worker stops while the store does not answer.
            GuardFailed: nobody knows whether one does.
        """
        tick = tick_of(message)
        if tick is None or tick.get("overlap") not in (SKIP, QUEUE_ONE):
            return
        try:
            self._enter(message, self._guard.guarded(broker, message), str(tick["schedule"]), tick["overlap"])
        except MiddlewareError:
            raise
        except Exception as error:
            raise GuardFailed(f"message {message.message_id} can't ask for its schedule: {error}") from error

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """End the run, or keep the slot for the next attempt."""
        if exception is None or message.failed or is_aborted(message):
            self._leave(message, Ending.FORGOTTEN)
        else:
            self._leave(message, Ending.WAITING, due_ms=_pause_ms(message))

    def after_skip_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """End a run that another middleware has skipped after all; keep the slot for one that comes again."""
        guarded: Guarded | None = vars(message).get("guarded")
        comes_again = getattr(message, "requeue", False) or (guarded is not None and guarded.postponed_ms is not None)
        self._leave(message, Ending.ABANDONED if comes_again else Ending.FORGOTTEN)
        tick = tick_of(message)
        if is_aborted(message) and tick is not None and tick.get("overlap") in (SKIP, QUEUE_ONE):
            self._free(message, str(tick["schedule"]))

    def _enter(self, message: dramatiq.MessageProxy, own: Guarded, schedule: str, policy: str) -> None:
        slot = Guarded(replace(own.policy, idempotent=True), _request("slot", schedule, own.policy.lease_ms, message))
        line = _request("line", schedule, LINE_MS, message)
        has_begun = bool(retries_of(message) or replays_of(message._message) or (own.lease and own.lease.claim.lost))
        ahead = self._guard.patiently(partial(self._ask, slot, line, has_begun=has_begun), message)
        if slot.request is None:
            return  # its actor runs without protection while the store does not answer
        if slot.lease is not None:
            vars(message)["slot"] = slot
            if ahead is not None and ahead.owner == message.message_id:
                self._guard.record(Outcome(Claim(line, ahead.fence), Ending.FORGOTTEN), good_until=0.0)
            return
        answer, waits, delay_ms = slot.answer, has_begun, LOOK_AGAIN_MS
        if answer is not None and answer.owner == message.message_id:
            waits, delay_ms = True, answer.remaining_ms + 1
        elif has_begun or policy == QUEUE_ONE:
            waits = self._guard.patiently(partial(self._line_up, line), message) or has_begun
        why = f"message {ahead.owner} waits already" if ahead else ""
        why = f"the run of message {answer.owner} goes on" if answer else why
        if waits:
            own.postponed_ms = delay_ms
            self._guard.count("later", slot.request, f"{why}; it looks again in {delay_ms} ms")
            raise Postponed(f"message {message.message_id} waits: {why}")
        own.skipped = vars(message)["skip_reason"] = f"overlap={policy}: {why}"
        self._guard.count("skipped", slot.request, own.skipped)
        raise Overlaps(own.skipped)

    def _ask(self, slot: Guarded, line: Request, *, has_begun: bool) -> Record | None:
        """Return who stands in line, and ask for the slot, unless another is ahead."""
        try:
            record = self._store().inspect(line.digest)
            ahead = record if record is not None and record.state is not State.RELEASED else None
            if has_begun or ahead is None or ahead.owner == line.owner:
                self._guard.exchange([], [slot])
        except StoreUnavailable:
            if not self._guard.runs_unprotected(slot):
                raise
            return None
        return ahead

    def _line_up(self, line: Request) -> bool:
        """Return whether the place in line is the message's; it stays so until a while after it looks again."""
        _, [answer] = self._store().exchange([], [line])
        if answer.verdict is Verdict.RUN:
            self._store().exchange([Outcome(Claim(line, answer.fence), Ending.ABANDONED)], [])
        return answer.owner == line.owner

    def _free(self, message: dramatiq.MessageProxy, schedule: str) -> None:
        """Free the slot that is kept for *message* between two attempts, of which the next is not to be."""
        name = digest("overlap:slot", schedule)
        try:
            record = self._store().inspect(name)
            if record is not None and record.state is State.WAITING and record.owner == message.message_id:
                self._store().release(name)
        except (StoreUnavailable, Refused, KeyError) as error:
            log.warning(
                "message %s was aborted; its schedule's slot is free a lease later: %s", message.message_id, error
            )

    def _leave(self, message: dramatiq.MessageProxy, ending: Ending, **details: Any) -> None:
        slot: Guarded | None = vars(message).pop("slot", None)
        if slot is not None:
            self._guard.end(slot, ending, **details)
            if slot.outcome is not None:
                self._guard.record(slot.outcome, good_until=min(slot.good_until, time.monotonic() + TELL_FOR_S))


def _pause_ms(message: dramatiq.MessageProxy) -> int:
    """Return until when the store is to keep the slot for the next attempt of *message*, from now."""
    delay = (trail_of(message) or [{}])[-1].get("delay")
    # Anybody could have put anything there, and a slot that is not left is renewed for ever.
    return max(0, delay - EARLY_MS) if type(delay) is int else 0


def _request(what: str, schedule: str, lease_ms: int, message: dramatiq.MessageProxy) -> Request:
    # Its key is the message id, lest the store take it for the key that the message has of its own. Its start is never
    # marked: a run that takes its workers with it is ended by its own key.
    return Request(
        digest=digest(f"overlap:{what}", schedule),
        scope=f"overlap:{schedule}",
        key=message.message_id,
        owner=message.message_id,
        token=new_token(),
        lease_ms=lease_ms,
        ttl_ms=lease_ms,
    )
