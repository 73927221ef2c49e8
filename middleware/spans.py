"""The spans of messages and attempts, as OpenTelemetry's semantic conventions for messaging have them."""

from __future__ import annotations

from contextvars import Token
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import dramatiq
from dramatiq.common import q_name
from dramatiq.errors import Retry
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from middleware.failure import failure_of, is_printable, text_of
from middleware.log_context import note_trace
from middleware.process import process_name
from middleware.trail import LONGEST_ERROR, retries_of, trail_of

# How many characters of an id or a name are told.
LONGEST_NAME = 200
# How many characters of each field of a context are read, and sent: what the W3C asks of everyone to bear.
LONGEST_TRACESTATE = 512
LONGEST_TRACEPARENT = 64

_OPTION = "trace"
_FIELDS = {"traceparent": LONGEST_TRACEPARENT, "tracestate": LONGEST_TRACESTATE}
_propagator = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True)
class Running:
    """The span of an attempt.

    Attributes:
        span: the span.
        token: ends that it is the current one; None if it has not become that.
    """

    span: Span
    token: Token[Context] | None


class Spans:
    """Makes spans.

    Args:
        tracer: what begins them.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def sending(self, message: dramatiq.Message[Any], system: str, delay: int | None) -> Span:
        """Begin the span of *message*, which is sent, and note its context in the message's options."""
        attributes = _attributes(message, system, "send")
        if delay:
            attributes["actors.delay_ms"] = delay
        name = f"send {q_name(message.queue_name)}"
        span = self._tracer.start_span(name, kind=SpanKind.PRODUCER, attributes=attributes)
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, trace.set_span_in_context(span, Context()))
        if carrier:
            message.options[_OPTION] = _bounded(carrier)
        return span

    def refused(self, span: Span, error: BaseException) -> None:
        """End the *span* of a message that is not known to be sent because of *error*."""
        _fail(span, error)
        span.end()

    def running(self, message: dramatiq.MessageProxy, system: str, *, began: int | None = None) -> Running:
        """Begin the span of an attempt of *message*, and make it the current one of this thread.

        Args:
            message: the message.
            system: what keeps messages.
            began: when the attempt began that has ended by now without running, in nanoseconds since the Unix epoch;
                its span does not become the current one.
        """
        creation = _creation_of(message)
        span_context = trace.get_current_span(creation).get_span_context()
        attributes = _attributes(message, system, "process")
        attributes["actors.attempt"] = retries_of(message) + 1
        body = vars(message).get("body")
        if isinstance(body, bytes):
            attributes["messaging.message.body.size"] = len(body)
        tick = message.options.get("tick")
        if isinstance(tick, dict):
            attributes["actors.tick.schedule"] = text_of(tick.get("schedule"), LONGEST_NAME)
            attributes["actors.tick.time"] = text_of(tick.get("time"), LONGEST_NAME)
        span = self._tracer.start_span(
            f"process {message.queue_name}",
            context=creation,
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=[Link(span_context)] if span_context.is_valid else None,
            start_time=began,
        )
        own = span.get_span_context()
        if own.is_valid:
            note_trace(message, trace.format_trace_id(own.trace_id), trace.format_span_id(own.span_id))
        return Running(span, context.attach(trace.set_span_in_context(span)) if began is None else None)

    def ended(
        self, message: dramatiq.MessageProxy, running: Running, outcome: str, error: BaseException | None
    ) -> None:
        """End the span of an attempt of *message*."""
        span = running.span
        if running.token is not None:
            context.detach(running.token)
        if span.is_recording():
            span.set_attribute("actors.outcome", outcome)
            _tell_decision(span, message, error)
            # Who raises Retry asks for another attempt, and has not failed.
            if error is not None and (outcome == "dead" or not isinstance(error, Retry)):
                _fail(span, error)
            if outcome == "dead":
                _tell_end(span, message, is_told=error is not None)
        span.end()


def spans_of(provider: TracerProvider | None) -> Spans | None:
    """Return what makes spans by *provider*, or by the global one; None where that makes none, or is yet to be set."""
    tracer = (provider or trace.get_tracer_provider()).get_tracer("dramatiq-once", version("dramatiq-once"))
    return None if isinstance(tracer, trace.ProxyTracer | trace.NoOpTracer) else Spans(tracer)


def _attributes(
    message: dramatiq.Message[Any] | dramatiq.MessageProxy, system: str, operation: str
) -> dict[str, AttributeValue]:
    return {
        "messaging.system": system,
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
        "messaging.destination.name": q_name(message.queue_name),
        "messaging.message.id": text_of(message.message_id, LONGEST_NAME),
        "messaging.client.id": process_name(),
        "actors.actor": text_of(message.actor_name, LONGEST_NAME),
    }


def _creation_of(message: dramatiq.MessageProxy) -> Context:
    """Return the context that *message* was created in; an empty one if it has none that can be read."""
    carrier: Any = message.options.get(_OPTION)
    # Another producer may have put anything there.
    if type(carrier) is not dict:
        return Context()
    texts = {name: value for name, value in carrier.items() if name in _FIELDS and isinstance(value, str)}
    return _propagator.extract(_bounded(texts), Context())


def _bounded(carrier: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in carrier.items() if name in _FIELDS and len(value) <= _FIELDS[name]}


def _tell_decision(span: Span, message: dramatiq.MessageProxy, error: BaseException | None) -> None:
    trail = trail_of(message)
    if error is None or not trail:
        return
    by, delay = trail[-1].get("by"), trail[-1].get("delay")
    if isinstance(by, str):
        span.set_attribute("actors.decided_by", by)
    if type(delay) is int:
        span.set_attribute("actors.retry_delay_ms", delay)


def _tell_end(span: Span, message: dramatiq.MessageProxy, *, is_told: bool) -> None:
    failure = failure_of(message)
    if failure.reason:
        span.set_attribute("actors.dead_letter_reason", str(failure.reason))
    if not is_told:
        span.set_attribute("error.type", failure.type)
        span.set_status(Status(StatusCode.ERROR, text_of(failure.message, LONGEST_ERROR)))


def _fail(span: Span, error: BaseException) -> None:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    span.set_attribute("error.type", name)
    span.set_status(Status(StatusCode.ERROR, text_of(error, LONGEST_ERROR)))
    if is_printable(error):
        span.record_exception(error)
