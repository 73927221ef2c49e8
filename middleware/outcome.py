"""How an attempt has ended, in one word."""

from __future__ import annotations

import dramatiq

from middleware.aborted import is_aborted
from middleware.guard import TryLater
from middleware.guarded import Guarded
from middleware.stores import Verdict


def outcome_of(message: dramatiq.MessageProxy, error: BaseException | None) -> str:
    """Return how an attempt of *message* has ended, once all hooks have had their say; *error* is what it raised."""
    if message.failed:
        return "dead"
    if is_aborted(message):
        return "aborted"
    if getattr(message, "requeue", False):
        return "requeued"
    if error is None:
        return "done"
    return "later" if isinstance(error, TryLater) else "retried"


def outcome_of_skipped(message: dramatiq.MessageProxy) -> str:
    """Return how an attempt of *message* has ended that did not run."""
    guarded: Guarded | None = vars(message).get("guarded")
    answer = guarded.answer if guarded is not None else None
    if message.failed:
        return "dead"
    if is_aborted(message):
        return "aborted"
    if getattr(message, "requeue", False):
        return "requeued"
    if guarded is not None and guarded.postponed_ms is not None:
        return "later"
    if answer is not None and answer.verdict is not Verdict.RUN:
        return "duplicate"
    return "skipped"
