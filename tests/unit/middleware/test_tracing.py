"""One trace for a message and all that comes of it, by OpenTelemetry's SDK, on Dramatiq's stub broker and on ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker as DramatiqStubBroker
from dramatiq.errors import Retry
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NoOpTracerProvider, SpanContext, SpanKind, StatusCode

from actors import actor, assembly
from actors.brokers.broker import Broker
from actors.errors import MessageTooLarge
from actors.testing import StubBroker, drain
from middleware import AsyncIO, Retries, Tracing
from middleware.keys import digest
from middleware.log_context import attempt_fields
from middleware.retry_policy import RetryDefaults
from middleware.tracing import OPTION
from tests.conformance.stores.subject import claim
from tests.unit.middleware.foreign import send

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CREATED = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01", "tracestate": "vendor=1"}


class Traced:
    """A provider, and what it has exported."""

    def __init__(self) -> None:
        self.provider = TracerProvider()
        self._exporter = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("shop")

    def spans(self, operation: str = "") -> list[ReadableSpan]:
        """Return the spans whose names start with *operation*, in the order in which they began."""
        found = [span for span in self._exporter.get_finished_spans() if span.name.startswith(operation)]
        return sorted(found, key=lambda span: span.start_time or 0)


@pytest.fixture
def traced() -> Iterator[Traced]:
    traced = Traced()
    yield traced
    traced.provider.shutdown()


@pytest.fixture
def stub(stub_broker: StubBroker, traced: Traced, monkeypatch: pytest.MonkeyPatch) -> StubBroker:
    """Return our stub broker, with the middleware of an application that traces."""
    [tracing] = [each for each in stub_broker.middleware if isinstance(each, Tracing)]
    monkeypatch.setattr(tracing, "_provider", traced.provider)
    monkeypatch.setattr(tracing, "_spans", None)
    monkeypatch.setattr(tracing, "_looked", float("-inf"))
    return stub_broker


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent is not None else None


def context_of(span: ReadableSpan) -> SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def id_of(span: ReadableSpan) -> int:
    return context_of(span).span_id


def told(span: ReadableSpan, *names: str) -> list[Any]:
    return [(span.attributes or {}).get(name) for name in names]


def test_each_attempt_is_a_child_of_the_send_and_linked_to_it(stub: StubBroker, traced: Traced) -> None:
    @actor(max_retries=1, min_backoff=1_000, jitter=False)
    def fail() -> None:
        raise LookupError("no order")

    with traced.tracer.start_as_current_span("request"):
        message = fail.send_with_options(delay=timedelta(minutes=1))
    drain(raises=False, with_delays=True)

    [request], [sent], attempts = traced.spans("request"), traced.spans("send"), traced.spans("process")
    assert (sent.name, sent.kind, parent_of(sent)) == ("send default", SpanKind.PRODUCER, id_of(request))
    assert [span.name for span in attempts] == ["process default"] * 2
    for number, span in enumerate(attempts, start=1):
        assert (span.kind, parent_of(span)) == (SpanKind.CONSUMER, id_of(sent))
        assert [link.context.span_id for link in span.links] == [id_of(sent)]
        assert context_of(span).trace_id == context_of(request).trace_id
        assert told(span, "messaging.system", "messaging.operation.type", "messaging.operation.name") == [
            "sqlite",
            "process",
            "process",
        ]
        assert told(span, "messaging.destination.name", "messaging.message.id", "actors.actor") == [
            "default",
            message.message_id,
            "fail",
        ]
        assert (told(span, "actors.attempt"), span.status.status_code) == ([number], StatusCode.ERROR)
        assert told(span, "error.type") == ["LookupError"]
        assert [event.name for event in span.events] == ["exception"]
    assert told(sent, "actors.delay_ms", "messaging.operation.type") == [60_000, "send"]
    ends = [told(span, "actors.outcome", "actors.decided_by", "actors.retry_delay_ms") for span in attempts]
    assert ends == [["retried", "policy", 1_000], ["dead", "max_retries", None]]
    assert told(attempts[1], "actors.dead_letter_reason") == ["exhausted"]


def test_what_an_actor_does_is_within_its_span_in_plain_and_async_actors(stub: StubBroker, traced: Traced) -> None:
    lines: list[dict[str, Any]] = []

    def work() -> None:
        lines.append(attempt_fields())
        with traced.tracer.start_as_current_span("query"):
            pass

    @actor
    def plain() -> None:
        work()

    @actor
    async def on_the_loop() -> None:
        work()
        plain.send()

    on_the_loop.send()
    drain()

    first, second = traced.spans("process")
    assert [parent_of(span) for span in traced.spans("query")] == [id_of(first), id_of(second)]
    assert parent_of(traced.spans("send")[1]) == id_of(first)
    assert [(line["trace_id"], line["span_id"]) for line in lines] == [
        (trace.format_trace_id(context_of(span).trace_id), trace.format_span_id(id_of(span)))
        for span in (first, second)
    ]
    assert not trace.get_current_span().get_span_context().is_valid


def test_what_follows_an_attempt_belongs_to_it(stub: StubBroker, traced: Traced) -> None:
    @actor
    def first() -> int:
        return 1

    @actor
    def second(number: int) -> None:
        pass

    @actor
    def told_of_it(message: dict[str, Any], result: object) -> None:
        pass

    (first.message_with_options(on_success="told_of_it") | second.message_with_options()).run()
    drain()

    attempts = traced.spans("process")
    children = [span for span in traced.spans("send") if parent_of(span) == id_of(attempts[0])]
    assert len({context_of(span).trace_id for span in traced.spans()}) == 1
    assert sorted(str(told(span, "actors.actor")[0]) for span in children) == ["second", "told_of_it"]


def test_a_deliberate_retry_is_no_error(stub: StubBroker, traced: Traced) -> None:
    asked: list[int] = []

    @actor
    def wait() -> None:
        asked.append(1)
        if len(asked) == 1:
            raise Retry(delay=5_000)

    wait.send()
    drain(with_delays=True)

    first, second = traced.spans("process")
    assert told(first, "actors.outcome", "actors.retry_delay_ms", "error.type") == ["retried", 5_000, None]
    assert [span.status.status_code for span in (first, second)] == [StatusCode.UNSET] * 2


def test_a_duplicate_is_a_short_span_and_one_that_is_put_off_is_none(stub: StubBroker, traced: Traced) -> None:
    @actor
    def charge() -> None:
        pass

    message = charge.send()
    drain()
    stub.enqueue(message)
    drain()
    waiting = charge.send()
    name = waiting.message_id
    claim(assembly.store(), key=name, digest=digest("charge", name), owner=name, lease_ms=10_000)
    drain()

    assert [told(span, "actors.outcome")[0] for span in traced.spans("process")] == ["done", "duplicate"]
    assert len(traced.spans("send")) == 2


def test_what_never_ran_is_an_error_with_its_reason(stub: StubBroker, traced: Traced) -> None:
    @actor(max_age=1)
    def late() -> None:
        pass

    message = late.message()
    stub.enqueue(message.copy(message_timestamp=message.message_timestamp - 1_000))
    drain(raises=False)

    [span] = traced.spans("process")
    assert told(span, "actors.outcome", "actors.dead_letter_reason", "error.type") == ["dead", "expired", "Expired"]
    assert span.status.status_code is StatusCode.ERROR


def test_a_tick_is_a_trace_of_its_own(stub: StubBroker, traced: Traced) -> None:
    @actor
    def report() -> None:
        pass

    tick = {"schedule": "nightly", "time": "2026-12-01T00:00:00+00:00", "pace": "hours"}
    with traced.tracer.start_as_current_span("scheduler"):
        stub.enqueue(report.message().copy(options={"tick": tick}))
    drain()

    [span] = traced.spans("process")
    assert (span.parent, list(span.links), traced.spans("send")) == (None, [], [])
    assert told(span, "actors.tick.schedule", "actors.tick.time") == [tick["schedule"], tick["time"]]


@pytest.mark.parametrize(
    ("brought", "is_child"),
    [
        pytest.param(CREATED, True, id="as the W3C has it"),
        pytest.param({**CREATED, "tracestate": "x=" + "y" * 600}, True, id="a huge tracestate"),
        pytest.param({**CREATED, "tracestate": "=,;=é\udce9"}, True, id="a tracestate that is none"),
        pytest.param({**CREATED, "tracestate": 7}, True, id="a number for a tracestate"),
        pytest.param({"traceparent": "00-nonsense-01"}, False, id="no traceparent"),
        pytest.param({"traceparent": f"00-{'0' * 32}-{'0' * 16}-01"}, False, id="zeros"),
        pytest.param({"traceparent": CREATED["traceparent"] * 1_000}, False, id="a huge one"),
        pytest.param({"traceparent": [CREATED["traceparent"]]}, False, id="a list"),
        pytest.param({"traceparent": None}, False, id="nothing"),
        pytest.param("00", False, id="text"),
        pytest.param(None, False, id="null"),
    ],
)
def test_what_another_producer_has_put_there_harms_no_attempt(
    stub: StubBroker, traced: Traced, brought: Any, is_child: bool
) -> None:
    ran: list[int] = []

    @actor
    def work() -> None:
        ran.append(1)

    send(stub, work.message().copy(options={OPTION: brought}))
    drain()

    [span] = traced.spans("process")
    assert ran == [1]
    assert (span.parent is not None and span.parent.trace_id == int(TRACE_ID, 16)) == is_child
    assert len(span.links) == int(is_child)
    assert len(context_of(span).trace_state.to_header()) <= 512


def test_a_message_of_who_does_not_trace_has_its_attempts_and_no_send(stub: StubBroker, traced: Traced) -> None:
    @actor(max_retries=1, min_backoff=1_000)
    def fail() -> None:
        raise LookupError

    send(stub, fail.message())
    drain(raises=False, with_delays=True)

    assert [span.parent for span in traced.spans("process")] == [None, None]
    assert traced.spans("send") == []


class Refusing:
    """An engine that keeps no message."""

    max_message_bytes = 1_000

    def send(self, outgoing: object) -> None:
        raise ConnectionError("away")


@pytest.mark.parametrize(("size", "error"), [(1, ConnectionError), (2_000, MessageTooLarge)])
def test_a_send_that_is_refused_is_an_error(traced: Traced, size: int, error: type[Exception]) -> None:
    engine: Any = Refusing()
    broker: Broker[Any] = Broker(lambda: engine, middleware=[Tracing(tracer_provider=traced.provider)])
    message: dramatiq.Message[Any] = dramatiq.Message("default", "work", ("x" * size,), {}, {})

    with pytest.raises(error):
        broker.enqueue_many([message])

    [span] = traced.spans("send")
    assert span.status.status_code is StatusCode.ERROR
    assert str(told(span, "error.type")[0]).endswith(error.__name__)


class Broken(SpanProcessor):
    """A processor that is not up to its task."""

    def on_start(self, span: object, parent_context: object = None) -> None:
        if self.fails_at_start:
            raise RuntimeError("no room")

    def on_end(self, span: object) -> None:
        raise RuntimeError("no room")

    fails_at_start = False


@pytest.mark.parametrize("fails_at_start", [False, True])
def test_a_processor_that_fails_costs_no_message_and_no_attempt(
    stub: StubBroker, traced: Traced, fails_at_start: bool
) -> None:
    broken, ran = Broken(), list[int]()
    broken.fails_at_start = fails_at_start
    traced.provider.add_span_processor(broken)

    @actor(max_retries=1, min_backoff=1_000)
    def charge(number: int) -> None:
        ran.append(number)
        if ran == [1, 2]:
            raise LookupError

    charge.send(1)
    charge.send(2)
    drained = drain(raises=False, with_delays=True)

    assert (ran, drained.done, drained.retried) == ([1, 2, 2], 2, 1)
    assert not trace.get_current_span().get_span_context().is_valid


def idle() -> None:
    pass


def test_what_is_not_sampled_is_not_sampled_further_on() -> None:
    unsampled = DramatiqStubBroker(middleware=[Tracing(tracer_provider=TracerProvider(sampler=ALWAYS_OFF))])
    message = dramatiq.actor(broker=unsampled)(idle).send()

    flags = int(message.options[OPTION]["traceparent"].rsplit("-", 1)[1], 16)
    assert flags & trace.TraceFlags.SAMPLED == 0


@pytest.mark.parametrize(
    "make", [pytest.param(lambda: None, id="none"), pytest.param(NoOpTracerProvider, id="one that does nothing")]
)
def test_without_a_provider_nothing_is_put_into_a_message(
    make: Callable[[], Any],
) -> None:
    broker = DramatiqStubBroker(middleware=[Tracing(tracer_provider=make())])
    message = dramatiq.actor(broker=broker)(idle).send()

    assert OPTION not in message.options


def test_opentelemetry_is_not_imported_by_who_does_not_use_it() -> None:
    code = "import sys, actors\nassert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_on_a_broker_of_dramatiqs_it_works_by_itself(traced: Traced) -> None:
    retries = Retries(defaults=lambda: RetryDefaults(max_retries=1, min_backoff_ms=1, max_backoff_ms=2))
    broker = DramatiqStubBroker(middleware=[Tracing(tracer_provider=traced.provider), retries, AsyncIO()])
    worker = dramatiq.Worker(broker, worker_timeout=10, worker_threads=1)
    ran: list[int] = []

    @dramatiq.actor(broker=broker)
    async def work() -> None:
        ran.append(1)
        with traced.tracer.start_as_current_span("query"):
            pass
        if len(ran) == 1:
            raise LookupError

    worker.start()
    work.send_with_options(delay=1)
    broker.join("default", timeout=10_000)
    worker.join()
    worker.stop()

    [sent], attempts = traced.spans("send"), traced.spans("process")
    assert told(sent, "messaging.system", "messaging.destination.name") == ["stub", "default"]
    assert [parent_of(span) for span in attempts] == [id_of(sent)] * 2
    assert [told(span, "actors.outcome")[0] for span in attempts] == ["retried", "done"]
    assert [parent_of(span) for span in traced.spans("query")] == [id_of(span) for span in attempts]
