"""What the guard knows of one delivery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dramatiq

from middleware.leases import Lease
from middleware.policy import Policy
from middleware.stores import Answer, Outcome, Request

# The option of a message that was delivered before, and then sent again to be run later.
SUSPECT = "suspect"


def concludes(message: dramatiq.MessageProxy) -> bool:
    """Return whether the consumer of *message* records its outcome, and can take it back."""
    return hasattr(type(message), "concludes")


def is_suspect(message: dramatiq.MessageProxy) -> bool:
    """Return whether *message* was delivered before, and may have cost the worker that had it."""
    return bool(getattr(message, "redelivered", False)) or message.options.get(SUSPECT) is True


def note_again(message: dramatiq.MessageProxy) -> None:
    """Note that *message* is about to be enqueued again, for another look at its key."""
    vars(message._message)["comes_again"] = True


def comes_again(message: dramatiq.Message[Any]) -> bool:
    """Return whether *message* was delivered in this process, and enqueued for another look at its key."""
    return "comes_again" in vars(message)


@dataclass(slots=True, eq=False)
class Guarded:
    """What the guard knows of one delivery.

    Attributes:
        policy: the options in effect.
        request: what the store is asked; None where the message is not guarded.
        key: its key, which it also has where it runs unprotected; None where it is not guarded.
        watched: it is not guarded, and only the workers are counted that it has cost.
        answer: what the store has said.
        lease: the claim that the delivery holds.
        postponed_ms: it lets another end before it starts, and looks again in so many milliseconds.
        skipped: why neither it nor a copy of it is to run; empty if it may.
        retry_ms: in how many milliseconds another attempt follows this one, once that is decided.
        outcome: how its claim has ended; it is yet to be recorded.
        good_until: when the lease of that claim ends, by the monotonic clock, in seconds.
    """

    policy: Policy
    request: Request | None
    key: str | None = None
    watched: bool = False
    answer: Answer | None = None
    lease: Lease | None = None
    postponed_ms: int | None = None
    skipped: str = ""
    retry_ms: int | None = None
    outcome: Outcome | None = None
    good_until: float = 0.0
