"""One trace for all that comes of a message: who sent it, and each of its attempts."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import dramatiq
from dramatiq.middleware import Middleware

from middleware.outcome import outcome_of, outcome_of_skipped

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from middleware.spans import Spans

# The option of a message with the context that it was created in.
OPTION = "trace"
# How soon after it was found that nobody traces somebody may begin to, in seconds.
LOOK_AGAIN_S = 1.0
# What these attempts are is that there is another, a moment later.
_UNTOLD = frozenset({"later", "requeued"})

log = logging.getLogger(__name__)


class Tracing(Middleware):
    """Makes OpenTelemetry's spans: one when a message is sent, and one for each of its attempts, all in one trace.

    It costs next to nothing where the application has configured no SDK, and where ``opentelemetry-api`` is not
    installed. The context that a message is created in travels with it, unchanged, through delays, retries and
    replays; each attempt is a child of it, and is linked to it. The message of a tick is created by no one: each of its
    attempts is a trace of its own.

    It stands around all middleware that sends what follows an attempt, so that this belongs to the attempt's span.
    :meth:`starting` has the span begin later. An attempt that is put off until later, or given back, has no span.

    Args:
        system: called with the broker for what ``messaging.system`` says; by default from the broker's name.
        tracer_provider: what makes the spans, in place of OpenTelemetry's global one.
    """

    def __init__(
        self,
        *,
        system: Callable[[dramatiq.Broker], str] | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        self._system = system or _system_of
        self._provider = tracer_provider
        self._spans: Spans | None = None
        self._looked = float("-inf")
        self._starts = True

    def starting(self) -> Middleware:
        """Return a middleware that has the span of an attempt begin where it stands, and not here already.

        It stands behind all that can keep an attempt from running, so that spans are as long as attempts.
        """
        self._starts = False
        return _Start(self)

    def before_enqueue(self, broker: dramatiq.Broker, message: dramatiq.Message[Any], delay: int | None) -> None:
        """Begin the span of *message* when it is sent for the first time, and note its context."""
        if OPTION in message.options or "tick" in message.options:
            return
        spans = self._find()
        if spans is not None and not _is_hop(message):
            vars(message)["span"] = spans.sending(message, self._system(broker), delay)

    def after_enqueue(self, broker: dramatiq.Broker, message: dramatiq.Message[Any], delay: int | None) -> None:
        """End the span of *message*: it is durable."""
        span = vars(message).pop("span", None)
        if span is not None:
            span.end()

    def refused(self, messages: Iterable[dramatiq.Message[Any]], error: BaseException) -> None:
        """End the spans of *messages*, which are not known to be sent because of *error*.

        No hook of Dramatiq's says so: there such spans do not end, and are not exported.
        """
        for message in messages:
            span = vars(message).pop("span", None)
            if span is not None and self._spans is not None:
                try:
                    self._spans.refused(span, error)
                except Exception:
                    # It is told of while the sender is being told.
                    log.exception("the span of message %s, which was not sent, can't be ended", message.message_id)

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Begin the attempt."""
        if self._find() is None:
            return
        vars(message)["trace_began"] = time.time_ns()
        if self._starts:
            self.start(broker, message)

    def start(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Begin the span of an attempt, and make it the current one."""
        if self._spans is not None and "trace_began" in vars(message):
            vars(message)["attempt_span"] = self._spans.running(message, self._system(broker))

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """End the span of the attempt."""
        if "trace_began" in vars(message):
            self._end(broker, message, outcome_of(message, exception), exception)

    def after_skip_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Make the span of an attempt that did not run."""
        if "trace_began" in vars(message):
            self._end(broker, message, outcome_of_skipped(message), None)

    def _end(
        self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, outcome: str, error: BaseException | None
    ) -> None:
        spans = self._spans
        began = vars(message).pop("trace_began")
        running = vars(message).pop("attempt_span", None)
        if spans is None:
            return
        if running is None:
            if outcome in _UNTOLD:
                return
            running = spans.running(message, self._system(broker), began=began)
        spans.ended(message, running, outcome, error)

    def _find(self) -> Spans | None:
        """Return what makes spans; None while nobody traces, which is not looked for more than once a second."""
        if self._spans is not None:
            return self._spans
        # Who configures an SDK has imported this.
        if self._provider is None and "opentelemetry.trace" not in sys.modules:
            return None
        now = time.monotonic()
        if now - self._looked < LOOK_AGAIN_S:
            return None
        from middleware.spans import spans_of

        self._spans = spans_of(self._provider)
        # Last: another thread that looks meanwhile finds it, too.
        self._looked = now
        return self._spans


class _Start(Middleware):
    """Has the span of an attempt begin."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        self._tracing.start(broker, message)


def _is_hop(message: dramatiq.Message[Any]) -> bool:
    """Return whether *message*, which has no context, was sent before: by somebody who does not trace."""
    due = message.options.get("due")
    if type(due) is int and due <= time.time_ns() // 1_000_000:
        return True
    return not message.options.keys().isdisjoint(("attempts", "retries", "replays"))


def _system_of(broker: dramatiq.Broker) -> str:
    return type(broker).__name__.removesuffix("Broker").lower() or "dramatiq"
