"""Says in one line how each attempt ended, and counts them."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import dramatiq

from middleware.ended import Ended
from middleware.failure import is_printable, text_of
from middleware.process import process_name
from middleware.redaction import FAILED, Redact, redacted
from middleware.trail import LONGEST_ERROR

# How many characters of an id or a name are logged.
LONGEST_NAME = 200
# And of the arguments, where they are asked for.
LONGEST_ARGUMENTS = 1_000

log = logging.getLogger(__name__)

# Writes the line of an attempt at INFO; takes how it ended, and the version of the application.
Write = Callable[[Ended, str], None]


class AttemptLog:
    """Logs each attempt; a listener of :class:`middleware.Attempts`.

    The line is one of the logger ``middleware.attempt_log``: at INFO for an attempt that is done, or that did not run
    because there was no need; at WARNING for one that failed, with its traceback. Its attribute ``attempt`` is a dict:
    ``message_id``, ``actor``, ``queue``, ``attempt``, its number; ``outcome``, one of ``done``, ``retried``, ``dead``,
    ``later``, ``duplicate``, ``aborted``, ``requeued`` and ``skipped``; ``wait_ms``, for how long it could have run
    before; ``duration_ms``; ``worker`` and ``version``; and where they apply ``error_type``, ``error``, ``decided_by``,
    ``delay_ms``, ``key``, the digest of the idempotency key, ``tick``, ``trace_id`` and ``span_id``, and what the
    message has brought of its sender's context. Arguments are not logged unless they are asked for.

    Args:
        version: called for the version of the application.
        arguments: called for whether to log ``args`` and ``kwargs``, as JSON of 1,000 characters at most.
        redact: called for what has the last word on the fields of a line, or None.
        together: entered around the lines of a batch, to write them at once; may give what writes those at INFO.

    Attributes:
        counts: how many attempts ended in this process, by outcome.
    """

    def __init__(
        self,
        *,
        version: Callable[[], str] = lambda: "",
        arguments: Callable[[], bool] = lambda: False,
        redact: Callable[[], Redact | None] = lambda: None,
        together: Callable[[], AbstractContextManager[Write | None]] = nullcontext,
    ) -> None:
        self._version = version
        self._arguments = arguments
        self._redact = redact
        self._together = together
        self.counts: Counter[str] = Counter()

    def __call__(self, batch: Sequence[Ended]) -> None:
        """Log and count all of *batch*."""
        self.counts.update([ended.outcome for ended in batch])
        if not log.isEnabledFor(logging.WARNING):
            return
        version, arguments, redact = self._version(), self._arguments(), self._redact()
        with self._together() as write:
            plain = write if not arguments and redact is None and log.isEnabledFor(logging.INFO) else None
            for ended in batch:
                if plain is not None and not ended.is_bad:
                    plain(ended, version)
                    continue
                level = logging.WARNING if ended.is_bad else logging.INFO
                if not log.isEnabledFor(level):
                    continue
                fields = fields_of(ended, version)
                if arguments:
                    fields |= _arguments_of(ended.message)
                error = _printable(ended.error)
                if redact is not None:
                    fields, error = redacted(fields, error, redact)
                _log(level, ended, fields, error)

    def fields(self, ended: Ended) -> dict[str, Any]:
        """Return what else may be told of an attempt: what its line has, without arguments and traceback."""
        fields, redact = fields_of(ended, self._version()), self._redact()
        if redact is None:
            return fields
        kept, _ = redacted(fields, _printable(ended.error), redact)
        return {name: value for name, value in kept.items() if name != "exception"}


def _printable(error: BaseException | None) -> BaseException | None:
    return error if error is not None and is_printable(error) else None


def _log(level: int, ended: Ended, fields: Mapping[str, Any], error: BaseException | None) -> None:
    brought = vars(ended.message).get("log_context", ())
    more = [f" {name}={fields[name]}" for name in ("args", "kwargs", *brought, FAILED) if name in fields]
    if "exception" in fields:
        more.append(f"\n{fields['exception']}")
    log.log(
        level,
        "attempt %s of message %s of %s: %s, %.1f ms%s",
        fields.get("attempt"),
        fields.get("message_id"),
        fields.get("actor"),
        ended.outcome,
        ended.duration_ms,
        "".join(more),
        exc_info=error,
        extra={"attempt": fields},
    )


def fields_of(ended: Ended, version: str) -> dict[str, Any]:
    """Return what is told of an attempt, in JSON's types; *version* is that of the application."""
    message, error = ended.message, ended.error
    fields: dict[str, Any] = {
        "message_id": printable_name(message.message_id),
        "actor": printable_name(message.actor_name),
        "queue": message.queue_name,
        "attempt": ended.number,
        "outcome": ended.outcome,
        "wait_ms": ended.wait_ms,
        "duration_ms": ended.duration_ms,
        "worker": process_name(),
    }
    if version:
        fields["version"] = version
    if (key := ended.key) is not None:
        fields["key"] = key
    if (tick := ended.tick) is not None:
        fields["tick"] = tick
    if (ids := vars(message).get("trace_ids")) is not None:
        fields["trace_id"], fields["span_id"] = ids
    if error is not None:
        decision = ended.decision
        fields |= {"error_type": type(error).__name__, "error": text_of(error, LONGEST_ERROR)}
        decided = {"decided_by": decision.get("by"), "delay_ms": decision.get("delay")}
        fields |= {name: value for name, value in decided.items() if value is not None}
    brought = vars(message).get("log_context")
    return {**brought, **fields} if brought else fields


def _arguments_of(message: dramatiq.MessageProxy) -> dict[str, str]:
    # As they came: the actor may have been given others.
    sent = message._message
    given = {"args": sent.args, "kwargs": sent.kwargs}
    return {
        name: text_of(json.dumps(value, ensure_ascii=False, default=str), LONGEST_ARGUMENTS)
        for name, value in given.items()
        if value
    }


def printable_name(text: str) -> str:
    """Return an id or a name as it is logged: short, and of Unicode."""
    # What other producers send may be no Unicode, and long.
    return text if text.isascii() and len(text) <= LONGEST_NAME else text_of(text, LONGEST_NAME)
