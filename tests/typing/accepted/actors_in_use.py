"""What the type checker accepts: everything that works."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

import dramatiq

import actors
from actors import Abort, FailedAttempt, Message, Retryable, actor, by_status, by_type, enqueue_many
from actors.testing import Drained, EnqueuedMessage, StubBroker, assert_enqueued, drain, enqueued, stub_broker


@actor
def charge(order_id: int, cents: int = 0) -> str:
    return f"{order_id}: {cents}"


@actor(
    actor_name="report",
    queue_name="slow",
    priority=5,
    max_retries=None,
    min_backoff=1_000,
    max_backoff=60_000,
    jitter=False,
    retry_when=lambda retries, error: None if retries < 3 else isinstance(error, ConnectionError),
    throws=(ValueError, KeyError),
    time_limit=60_000,
    max_age=3_600_000,
    on_success="charge",
    on_failure="charge",
    on_retry_exhausted="charge",
    notify_shutdown=True,
    pipe_ignore=True,
    store_results=True,
    idempotent=True,
    idempotency_key="report:{month}",
    idempotency_ttl=timedelta(days=7),
    lease=60_000,
    on_duplicate="wait",
    on_lost="park",
    max_losses=1,
    on_outage="run",
    on_failed="hold",
    scope="reports",
)
def report(month: str, *, draft: bool = False) -> None: ...


def key_of_refund(order_id: int, cents: int = 0) -> str:
    return f"refund:{order_id}"


@actor(idempotency_key=key_of_refund, idempotency_ttl=86_400_000, lease=timedelta(minutes=5), on_duplicate="error")
def refund(order_id: int, cents: int = 0) -> str:
    return f"{order_id}: -{cents}"


@actor(idempotency_key=lambda order_id: f"remind:{order_id}", on_lost="run", on_outage="wait", on_failed="free")
def remind(order_id: int) -> None: ...


@actor(idempotent=False, store_results=False)
def ping() -> None: ...


@actor
async def fetch(url: str) -> bytes:
    return url.encode()


@actor(queue_name="slow")
async def fetch_all(*urls: str) -> list[bytes]:
    return [url.encode() for url in urls]


assert_type(charge(1, 2), str)
assert_type(charge.send(1), Message[str])
assert_type(charge.send(order_id=1, cents=2), Message[str])
assert_type(charge.send(1).abort(), Abort)
assert_type(charge.message(1, 2), dramatiq.Message[str])
assert_type(charge.message(1).get_result(), str)

assert_type(report("2026-01", draft=True), None)
assert_type(report.send("2026-01", draft=True), Message[None])

# An async actor gives what it returns once awaited: a worker awaits it.
assert_type(fetch("https://example.org"), bytes)
assert_type(fetch.send("https://example.org"), Message[bytes])
assert_type(fetch_all.send("a", "b"), Message[list[bytes]])

assert_type(charge.send_with_options(args=(1,), eta=datetime.now(UTC)), Message[str])
charge.send_with_options(args=(1, 2), delay=timedelta(minutes=5))
charge.send_with_options(args=(1,), kwargs={"cents": 2}, delay=1_500)
charge.send_with_options(
    args=(1,),
    max_retries=None,
    min_backoff=1,
    max_backoff=2,
    time_limit=1.5,
    max_age=5_000,
    on_success=report,
    on_failure="report",
    on_retry_exhausted="report",
    notify_shutdown=False,
    pipe_ignore=False,
    broker_priority=9,
    store_results=False,
    idempotent=True,
    idempotency_key="charge:1",
    idempotency_ttl=timedelta(days=7),
    lease=timedelta(minutes=5),
    on_duplicate="skip",
    on_lost="park",
    max_losses=5,
    on_outage="wait",
    on_failed="free",
    scope="payments",
)
charge.send_with_options(args=(1,), idempotency_ttl=86_400_000, lease=60_000)
assert_type(refund.send(1, 2), Message[str])
assert_type(remind.send(order_id=1), Message[None])

assert_type(enqueue_many([charge.message(1), fetch.message("a")]), list[dramatiq.Message[Any]])
dramatiq.pipeline([charge.message(1), charge.message_with_options(args=(2,))]).run()
plain: dramatiq.Actor[..., Any] = charge
taking_an_order: Callable[[int], str] = charge
actors.configure(broker_url="amqp://h/", queue_prefix="staging")


def in_a_test() -> None:
    with stub_broker() as broker:
        assert_type(broker, StubBroker)
        assert_type(enqueued(charge), list[EnqueuedMessage])
        assert_type(assert_enqueued(charge, args=(1, 2), delay=timedelta(minutes=5)), list[EnqueuedMessage])
        broker.clock.advance(timedelta(minutes=5))
        assert_type(drain("default", with_delays=True), Drained)


@actor(
    min_backoff=timedelta(seconds=1),
    max_age=timedelta(hours=1),
    retry_when=by_type(ConnectionError) & ~by_type(ConnectionRefusedError) | by_status(429, 503),
)
def call() -> None: ...


class OnceForLargeOrders(Retryable):
    def decide(self, attempt: FailedAttempt) -> timedelta | None:
        return timedelta(seconds=attempt.retries) if attempt.message.args[0] > 1_000 else None


@actor(retry_when=OnceForLargeOrders())
def order(cents: int) -> None: ...
