"""Records how the ticks of schedules end."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware

from middleware.aborted import is_aborted
from middleware.failure import failure_of, text_of
from middleware.guarded import Guarded
from middleware.results import encode_result
from middleware.stores import Verdict
from middleware.tick_run import LONGEST, Outcome, TickRun
from middleware.trail import retries_of, trail_of

# What a scheduler puts into a message's options.
OPTION = "tick"
# Where a tick does not say how often its schedule fires.
DEFAULT_PACE = "hours"

Record = Callable[[dramatiq.Broker, str, bytes], None]


class TickRuns(Middleware):
    """Records how the message of a tick ended: done, failed for good, or skipped by another middleware.

    An attempt that is tried again is no end, and a copy of a message that is done already is no run; nor is one that
    looks again later. Who skips a message can say why in its attribute ``skip_reason``.

    Args:
        record: called with the broker, the pace of the schedule and the record, while the attempt ends; what it
            publishes follows the attempt.
    """

    def __init__(self, *, record: Record) -> None:
        self._record = record

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Note when the attempt starts."""
        if tick_of(message) is not None:
            message.tick_started = (time.time_ns() // 1_000_000, time.monotonic())  # type: ignore[attr-defined]

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Record a success, or that it was aborted."""
        if exception is None and not message.failed:
            kept = encode_result(result, of="the result of a tick") if _keeps_results(message) else ""
            self._note(broker, message, "done", result=_value(kept))
        elif is_aborted(message):
            self.before_nack(broker, message)

    def after_skip_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Record that another middleware has skipped it, or that it was aborted."""
        if is_aborted(message):
            self.before_nack(broker, message)
        elif not (message.failed or getattr(message, "requeue", False) or _is_copy(message) or _is_postponed(message)):
            self._note(broker, message, "skipped", error=text_of(vars(message).get("skip_reason", ""), LONGEST))

    def before_nack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Record a failure: whatever fails for good passes here, and what was aborted."""
        if tick_of(message) is not None and not _is_closed(message):
            failure = failure_of(message)
            self._note(broker, message, "failed", error=f"{failure.type}: {failure.message}")

    def _note(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        outcome: Outcome,
        *,
        result: str = "",
        error: str = "",
    ) -> None:
        tick = tick_of(message)
        if tick is None:
            return
        started, since = vars(message).get("tick_started", (None, None))
        run = TickRun(
            schedule=str(tick["schedule"]),
            time=str(tick["time"]),
            by=str(tick.get("by", "schedule")),
            message_id=message.message_id,
            actor=message.actor_name,
            outcome=outcome,
            ended=time.time_ns() // 1_000_000,
            started=started,
            duration_ms=None if since is None else round((time.monotonic() - since) * 1000),
            attempt=_attempt(message, outcome),
            worker=f"{socket.gethostname()}:{os.getpid()}",
            result=result[:LONGEST],
            error=error[:LONGEST],
        )
        self._record(broker, str(tick.get("pace", DEFAULT_PACE)), run.encode())


def tick_of(message: dramatiq.MessageProxy) -> Mapping[str, Any] | None:
    """Return what *message* says of its tick; None if it is that of none."""
    tick = message.options.get(OPTION)
    # Anybody could have put anything there.
    return tick if isinstance(tick, Mapping) and "schedule" in tick and "time" in tick else None


def _is_copy(message: dramatiq.MessageProxy) -> bool:
    """Return whether its key has not let it run."""
    guarded: Guarded | None = vars(message).get("guarded")
    return guarded is not None and guarded.answer is not None and guarded.answer.verdict is not Verdict.RUN


def _is_postponed(message: dramatiq.MessageProxy) -> bool:
    """Return whether it lets another end before it starts."""
    guarded: Guarded | None = vars(message).get("guarded")
    return guarded is not None and guarded.postponed_ms is not None


def _is_closed(message: dramatiq.MessageProxy) -> bool:
    """Return whether it has failed before, and only its dead letter is forwarded once more."""
    guarded: Guarded | None = vars(message).get("guarded")
    return guarded is not None and guarded.answer is not None and guarded.answer.verdict is Verdict.FAILED


def _attempt(message: dramatiq.MessageProxy, outcome: Outcome) -> int:
    failed = trail_of(message)
    if outcome == "failed" and failed and isinstance(failed[-1].get("attempt"), int):
        return int(failed[-1]["attempt"])
    return retries_of(message) + 1


def _keeps_results(message: dramatiq.MessageProxy) -> bool:
    guarded: Guarded | None = vars(message).get("guarded")
    return tick_of(message) is not None and (guarded is None or guarded.policy.store_results)


def _value(kept: str) -> str:
    """Return the JSON of a result without what is around it in a record."""
    return kept.removeprefix('{"value":').removesuffix("}").strip() if kept.startswith('{"value"') else kept
