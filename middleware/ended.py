"""How one attempt of a message has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dramatiq

from middleware.guarded import Guarded
from middleware.trail import retries_of, trail_of


@dataclass(slots=True, eq=False)
class Ended:
    """How an attempt has ended; what costs more than a look is worked out when it is asked for.

    Attributes:
        message: the message, as the attempt has left it.
        outcome: one of ``done``, ``retried``, ``dead``, ``later``, ``duplicate``, ``aborted``, ``requeued`` and
            ``skipped``.
        error: what the attempt has raised.
        wait_ms: for how long the message could have run before it began; delays that were asked for are left out.
        duration_ms: how long it took.
        at: when it ended, in seconds since the Unix epoch.
    """

    message: dramatiq.MessageProxy
    outcome: str
    error: BaseException | None
    wait_ms: int
    duration_ms: float
    at: float

    @property
    def is_bad(self) -> bool:
        """Whether somebody should look at it: it has failed, or will never run."""
        return self.error is not None or self.outcome == "dead"

    @property
    def decision(self) -> dict[str, Any]:
        """What was decided when it failed, as the message's trail has it; empty if it did not."""
        return (trail_of(self.message) or [{}])[-1] if self.error is not None else {}

    @property
    def number(self) -> int:
        """Which attempt of the message it was, from 1."""
        number = self.decision.get("attempt")
        return number if type(number) is int else retries_of(self.message) + 1

    @property
    def key(self) -> str | None:
        """The digest of its idempotency key; None where it had none."""
        guarded: Guarded | None = vars(self.message).get("guarded")
        if guarded is None or guarded.request is None or guarded.key is None:
            return None
        return guarded.request.digest

    @property
    def tick(self) -> Any:
        """The tick whose run it is; None where it is none's."""
        return self.message.options.get("tick")
