"""Says in one line how each attempt ended, and counts them."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware

from middleware.age_limit import age_of
from middleware.failure import is_printable, text_of
from middleware.guard import TryLater
from middleware.guarded import Guarded
from middleware.process import process_name
from middleware.stores import Verdict
from middleware.trail import LONGEST_ERROR, retries_of, trail_of

# How many characters of an id or a name are logged.
LONGEST_NAME = 200

log = logging.getLogger(__name__)


class AttemptLog(Middleware):
    """Logs each attempt when all other hooks have had their say; it stands before them in the list.

    The line is one of the logger ``middleware.attempt_log``: at INFO for an attempt that is done, or that did not run
    because there was no need; at WARNING for one that failed, with its traceback. Its attribute ``attempt`` is a dict:
    ``message_id``, ``actor``, ``queue``, ``attempt``, its number; ``outcome``, one of ``done``, ``retried``, ``dead``,
    ``later``, ``duplicate``, ``requeued`` and ``skipped``; ``wait_ms``, for how long the message could have run before;
    ``duration_ms``; ``worker`` and ``version``; and where they apply ``error_type``, ``error``, ``decided_by``,
    ``delay_ms``, ``key``, the digest of the idempotency key, and ``tick``. Arguments are not logged.

    Args:
        version: called for the version of the application.

    Attributes:
        counts: how many attempts ended in this process, by outcome.
    """

    def __init__(self, *, version: Callable[[], str] = lambda: "") -> None:
        self._version = version
        self.counts: Counter[str] = Counter()

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Note when the attempt begins."""
        vars(message)["began"] = time.perf_counter(), _wait_ms(message)

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Log the attempt."""
        if message.failed:
            outcome = "dead"
        elif getattr(message, "requeue", False):
            outcome = "requeued"
        elif exception is None:
            outcome = "done"
        else:
            outcome = "later" if isinstance(exception, TryLater) else "retried"
        self._log(message, outcome, exception)

    def after_skip_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Log an attempt that did not run."""
        guarded: Guarded | None = vars(message).get("guarded")
        answer = guarded.answer if guarded is not None else None
        if message.failed:
            outcome = "dead"
        elif getattr(message, "requeue", False):
            outcome = "requeued"
        elif guarded is not None and guarded.postponed_ms is not None:
            outcome = "later"
        elif answer is not None and answer.verdict is not Verdict.RUN:
            outcome = "duplicate"
        else:
            outcome = "skipped"
        self._log(message, outcome, None)

    def _log(self, message: dramatiq.MessageProxy, outcome: str, error: BaseException | None) -> None:
        self.counts[outcome] += 1
        level = logging.WARNING if error is not None or outcome == "dead" else logging.INFO
        if not log.isEnabledFor(level):
            return
        began, wait_ms = vars(message).get("began") or (None, 0)
        duration_ms = 0.0 if began is None else round(1_000 * (time.perf_counter() - began), 3)
        last = (trail_of(message) or [{}])[-1] if error is not None else {}
        number = last.get("attempt", retries_of(message) + 1)
        fields: dict[str, Any] = {
            "message_id": _name(message.message_id),
            "actor": _name(message.actor_name),
            "queue": message.queue_name,
            "attempt": number,
            "outcome": outcome,
            "wait_ms": wait_ms,
            "duration_ms": duration_ms,
            "worker": process_name(),
            "version": self._version(),
        }
        guarded: Guarded | None = vars(message).get("guarded")
        if guarded is not None and guarded.request is not None and guarded.key is not None:
            fields["key"] = guarded.request.digest
        if "tick" in message.options:
            fields["tick"] = message.options["tick"]
        if error is not None:
            fields |= {"error_type": type(error).__name__, "error": text_of(error, LONGEST_ERROR)}
            fields |= {"decided_by": last.get("by"), "delay_ms": last.get("delay")}
        log.log(
            level,
            "attempt %d of message %s of %s: %s, %.1f ms",
            number,
            fields["message_id"],
            fields["actor"],
            outcome,
            duration_ms,
            exc_info=error if error is not None and is_printable(error) else None,
            extra={"attempt": fields},
        )


def _name(text: str) -> str:
    # What other producers send may be no Unicode, and long.
    return text if text.isascii() and len(text) <= LONGEST_NAME else text_of(text, LONGEST_NAME)


def _wait_ms(message: dramatiq.MessageProxy) -> int:
    """Return for how long *message*, or this retry of it, could have run, in milliseconds."""
    age_ms = age_of(message)
    trail = trail_of(message)
    if not trail:
        return age_ms
    at, delay = trail[-1].get("at"), trail[-1].get("delay") or 0
    if type(at) is not int or type(delay) is not int:
        return age_ms
    return min(age_ms, max(0, time.time_ns() // 1_000_000 - at - delay))
