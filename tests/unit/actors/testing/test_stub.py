from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker as DramatiqStubBroker
from dramatiq.errors import BrokerConnectionError, QueueJoinTimeout, QueueNotFound
from dramatiq.middleware import Middleware

from actors import actor, assembly, enqueue_many
from actors.encoding import Encoder
from actors.errors import MessageTooLarge, NotEncodable
from actors.testing import StubBroker, enqueued


@pytest.fixture
def worker(stub_broker: StubBroker) -> Iterator[dramatiq.Worker]:
    actor(actor_name="idle")(lambda: None)  # a worker without any actor ends at once
    worker = dramatiq.Worker(stub_broker, worker_timeout=10, worker_threads=2)
    worker.start()
    yield worker
    worker.stop()


def test_it_is_dramatiqs_own_stub_broker_to_those_who_ask(stub_broker: StubBroker) -> None:
    assert isinstance(stub_broker, DramatiqStubBroker)


def test_it_has_the_middleware_of_a_worker_of_this_process(stub_broker: StubBroker) -> None:
    assert [type(each) for each in stub_broker.middleware] == [type(each) for each in assembly.middleware()]


def test_a_message_is_kept_as_the_bytes_that_would_travel(stub_broker: StubBroker) -> None:
    @actor
    def charge(at: datetime) -> None: ...

    message = charge.send(datetime(2026, 1, 1, tzinfo=UTC))

    (entry,) = stub_broker.waiting()
    assert entry.body == Encoder().encode(message.asdict())


def test_the_size_limit_is_that_of_the_settings(stub_broker: StubBroker) -> None:
    @actor
    def index(text: str) -> None: ...

    overhead = len(index.message("").encode())
    limit = assembly.settings().max_message_bytes

    index.send("x" * (limit - overhead))
    with pytest.raises(MessageTooLarge):
        index.send("x" * (limit - overhead + 1))
    assert len(enqueued()) == 1


def test_a_message_that_is_refused_is_not_announced_as_enqueued(stub_broker: StubBroker) -> None:
    heard: list[str] = []

    class Listener(Middleware):
        def before_enqueue(self, broker: dramatiq.Broker, message: dramatiq.Message[Any], delay: int) -> None:
            heard.append("before")

        def after_enqueue(self, broker: dramatiq.Broker, message: dramatiq.Message[Any], delay: int) -> None:
            heard.append("after")

    stub_broker.add_middleware(Listener())

    @actor
    def index(value: object) -> None: ...

    with pytest.raises(NotEncodable):
        index.send(object())
    assert heard == ["before"]
    index.send(1)
    assert heard == ["before", "before", "after"]


def test_many_messages_are_enqueued_in_their_order(stub_broker: StubBroker) -> None:
    @actor
    def index(number: int) -> None: ...

    enqueue_many(index.message(number) for number in range(3))

    assert [message.args for message in enqueued()] == [(0,), (1,), (2,)]


def test_flushing_drops_what_waits_and_what_is_dead(stub_broker: StubBroker) -> None:
    @actor(queue_name="a")
    def one() -> None: ...

    @actor(queue_name="b")
    def two() -> None: ...

    one.send()
    two.send_with_options(delay=1_000)

    stub_broker.flush("a")
    assert [message.actor_name for message in enqueued()] == ["two"]

    stub_broker.flush_all()
    assert enqueued() == []


def test_a_consumer_of_an_unknown_queue_is_refused(stub_broker: StubBroker) -> None:
    with pytest.raises(QueueNotFound, match=r"^no actor uses queue 'mail'$"):
        stub_broker.consume("mail")


def test_a_worker_runs_what_is_due_on_its_threads(stub_broker: StubBroker, worker: dramatiq.Worker) -> None:
    ran: list[str] = []

    @actor
    async def remind() -> None:
        ran.append(threading.current_thread().name)

    remind.send()
    remind.send_with_options(delay=timedelta(hours=1))
    stub_broker.join("default", timeout=10_000)
    assert len(ran) == 1
    assert ran[0] != threading.current_thread().name

    stub_broker.clock.advance(timedelta(hours=1))
    stub_broker.join("default", timeout=10_000)
    assert len(ran) == 2
    assert enqueued() == []


def test_joining_raises_the_error_of_a_dead_letter_unless_told_not_to(
    stub_broker: StubBroker, worker: dramatiq.Worker
) -> None:
    @actor(max_retries=0)
    def charge() -> None:
        raise ConnectionError("busy")

    charge.send()

    with pytest.raises(ConnectionError, match="busy"):
        stub_broker.join("default", timeout=10_000)
    stub_broker.join("default", timeout=10_000, fail_fast=False)


def test_joining_a_queue_that_nobody_works_on_ends_after_its_timeout(stub_broker: StubBroker) -> None:
    @actor
    def charge() -> None: ...

    charge.send()

    with pytest.raises(QueueJoinTimeout):
        stub_broker.join("default", timeout=10)


def test_a_message_whose_followers_could_not_be_sent_comes_again_but_does_not_run_again(
    stub_broker: StubBroker, worker: dramatiq.Worker
) -> None:
    ran: list[str] = []
    skipped: list[str] = []

    class Away(Middleware):
        def after_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, **_: Any) -> None:
            raise BrokerConnectionError("away")

        def after_skip_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
            skipped.append(message.message_id)

    stub_broker.add_middleware(Away())

    @actor
    def charge() -> None:
        ran.append("charge")

    message = charge.send()
    stub_broker.join("default", timeout=10_000)

    assert ran == ["charge"]
    assert skipped == [message.message_id]
