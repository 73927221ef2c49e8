"""One trace, and one context for log lines, through a delay, a retry, the dead letters and a replay."""

from __future__ import annotations

from typing import Any

import dramatiq
from dramatiq.middleware import Middleware
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from structlog.contextvars import bound_contextvars, get_contextvars

from actors.assembly import middleware as default_middleware
from actors.dead_letters import DeadLetters, Selection
from middleware import LogContext, Tracing
from services.deadline import until
from tests.integration.broker.conftest import Declare, MakeBroker, RunWorker
from tests.integration.broker.test_dead_letters import publish


def traced(exporter: InMemorySpanExporter) -> list[Middleware]:
    """Return the middleware of an application that traces, and has ``request_id`` travel with its messages."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    found = default_middleware()[1:]
    for each in found:
        if isinstance(each, Tracing):
            each._provider = provider
        elif isinstance(each, LogContext):
            each._names = lambda: ("request_id",)
    return found


def told(span: ReadableSpan, *names: str) -> tuple[Any, ...]:
    return tuple((span.attributes or {}).get(name) for name in names)


def test_a_message_and_all_its_attempts_are_one_trace_and_one_context(
    make_broker: MakeBroker, declare: Declare, run_worker: RunWorker
) -> None:
    # Given a delayed message that fails twice, and is dead
    exporter, bound = InMemorySpanExporter(), list[object]()
    broker = make_broker(middleware=traced(exporter))

    def job() -> None:
        bound.append(get_contextvars())
        if len(bound) < 3:
            raise LookupError("no order")

    actor = declare(broker, job, max_retries=1, min_backoff=1, max_backoff=1)
    with bound_contextvars(request_id="r1", other="stays"):
        message = actor.send_with_options(delay=150)
    run_worker(broker)
    until(lambda: broker.get_queue_message_counts("default")[2] == 1, seconds=20, what="the dead letter")

    # When it is replayed
    assert DeadLetters(broker, {"default"}, timeout_s=10).replay(Selection()).replayed == 1
    until(lambda: len(exporter.get_finished_spans()) == 4, seconds=20, what="the last attempt")

    # Then all is one trace
    sent, *attempts = sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)
    assert (sent.name, sent.kind, sent.parent) == ("send default", SpanKind.PRODUCER, None)
    for span in attempts:
        assert (span.name, span.kind, span.parent) == ("process default", SpanKind.CONSUMER, attempts[0].parent)
        assert span.parent is not None
        assert (span.parent.trace_id, span.parent.span_id) == (sent.context.trace_id, sent.context.span_id)
        assert [link.context.span_id for link in span.links] == [sent.context.span_id]
        assert told(span, "messaging.message.id", "messaging.destination.name") == (message.message_id, "default")
        assert int(told(span, "messaging.message.body.size")[0]) > 100
    assert [told(span, "actors.attempt", "actors.outcome") for span in attempts] == [
        (1, "retried"),
        (2, "dead"),
        (1, "done"),
    ]
    assert bound == [{"request_id": "r1"}] * 3


def test_what_another_producer_says_of_its_trace_fails_no_attempt(
    make_broker: MakeBroker, declare: Declare, run_worker: RunWorker, channel: Any
) -> None:
    exporter, ran = InMemorySpanExporter(), list[int]()
    broker = make_broker(middleware=traced(exporter))
    actor = declare(broker, ran.append, actor_name="job")
    brought: list[Any] = [{"traceparent": "00-x"}, {"traceparent": 7, "tracestate": "x" * 9_000}, "00", None, []]
    for number, trace in enumerate(brought):
        message: dramatiq.Message[Any] = actor.message(number).copy(options={"trace": trace, "context": trace})
        publish(broker, channel, message.encode())
    run_worker(broker)

    until(lambda: len(exporter.get_finished_spans()) == len(brought), seconds=20, what="the attempts")
    assert sorted(ran) == list(range(len(brought)))
    assert {(span.parent, told(span, "actors.outcome")) for span in exporter.get_finished_spans()} == {
        (None, ("done",))
    }
