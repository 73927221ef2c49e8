"""Says of each message that has failed for good why, once, in one line; and counts them."""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from dataclasses import asdict
from functools import partial
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware, SkipMessage

from middleware.failure import failure_of, is_printable
from middleware.guarded import Guarded, concludes
from middleware.letter import Letter
from middleware.process import process_name
from middleware.redaction import FAILED, Redact, redacted

log = logging.getLogger(__name__)


class DeadLetter(Middleware):
    """Gives each message that has failed for good what its dead letter is to say.

    Our own brokers ask it for that when they forward a message, and tell it once that is confirmed. On any other broker
    it reports what the broker itself does with the message.

    The report is one line of the logger ``middleware.dead_letter``, an error: its attribute ``dead_letter`` has the
    fields of :class:`~middleware.letter.Letter`, its ``exc_info`` the error, where there was one in this process.

    Args:
        version: called for the version of the application.
        tell: told of each that was forwarded by this process.
        redact: called for what has the last word on the fields of a line, or None; the dead letter itself keeps all.

    Attributes:
        counts: how many were forwarded by this process, by reason.
    """

    def __init__(
        self,
        *,
        version: Callable[[], str] = lambda: "",
        tell: Callable[[Letter], object] = lambda letter: None,
        redact: Callable[[], Redact | None] = lambda: None,
    ) -> None:
        self._version = version
        self._tell = tell
        self._redact = redact
        self.counts: Counter[str] = Counter()

    def letter_of(self, message: dramatiq.MessageProxy, queue: str) -> Letter:
        """Return what the dead letter of *message* says; the same is noted in its options, if nobody has."""
        failure = failure_of(message)
        message.options.setdefault("failure", asdict(failure))
        message.options.setdefault("traceback", failure.message)
        guarded: Guarded | None = vars(message).get("guarded")
        key = guarded.key if guarded is not None and guarded.key is not None else ""
        return Letter.of(
            message._message, failure, queue=queue, key=key, worker=process_name(), version=self._version()
        )

    def letter_of_body(self, body: bytes, error: BaseException, queue: str, message_id: str | bytes) -> Letter:
        """Return what the dead letter of *body* says, which can't be decoded because of *error*."""
        return Letter.of_body(
            body, error, queue=queue, message_id=message_id, worker=process_name(), version=self._version()
        )

    def forwarded(self, letter: Letter, error: BaseException | None = None) -> None:
        """Report *letter*, which is among the dead letters now; *error* is what the last attempt raised."""
        self.counts[letter.reason] += 1
        self._tell(letter)
        # That it was skipped says nothing; what it was skipped for does, where that is an error.
        cause = error.__cause__ if isinstance(error, SkipMessage) else error
        # In a context of its own: an error tracker that has seen the error in this one takes the report for a copy.
        report = partial(self._report, letter, cause if cause is not None and is_printable(cause) else None)
        try:
            Context().run(report)
        except Exception:
            # A handler is code of others. The thread that takes messages from the queue must not end on it, and deliver
            # and forward the message again; nor is there anybody else to tell.
            traceback.print_exc()

    def before_nack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Report *message* where its broker does not."""
        if not concludes(message):
            self.forwarded(self.letter_of(message, message.queue_name), message._exception)

    def _report(self, letter: Letter, error: BaseException | None) -> None:
        fields: dict[str, Any] = dict(letter.header())
        redact = self._redact()
        if redact is not None:
            fields, error = redacted(fields, error, redact)
        more = f" {FAILED}={fields[FAILED]}" if FAILED in fields else ""
        if "exception" in fields:
            more += f"\n{fields['exception']}"
        log.error(
            "dead letter: message %s of %s in queue %s has failed for good (%s): %s: %s%s",
            fields.get("message_id") or "without id",
            fields.get("actor") or "no actor",
            fields.get("queue"),
            fields.get("reason") or "no reason given",
            fields.get("error_type"),
            fields.get("error", "…"),
            more,
            exc_info=error,
            extra={"dead_letter": fields},
        )
