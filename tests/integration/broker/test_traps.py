"""Each trap that plain Dramatiq has on RabbitMQ, sprung on our broker."""

import json
import os
import textwrap
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import dramatiq
import pytest

import services
from actors.brokers.nodes import Nodes
from actors.brokers.rabbitmq import RabbitmqBroker, RabbitmqOptions
from actors.brokers.topology import Topology
from actors.errors import EnqueueError
from middleware import Retries
from services.deadline import until
from tests.integration.broker.conftest import Declare, MakeBroker, RunWorker, full
from tests.warm import warm


def ready(broker: RabbitmqBroker, queue: str = "default") -> int:
    return broker.get_queue_message_counts(queue)[0]


def dead(broker: RabbitmqBroker, queue: str = "default") -> int:
    return broker.get_queue_message_counts(queue)[2]


def holds_of(server: services.RabbitMQ, prefix: str) -> int:
    return sum(count for name, count in server.messages().items() if name.startswith(f"{prefix}.hold."))


def unacked(server: services.RabbitMQ, queue: str) -> int:
    return server.unacked()[queue]


def test_a_tag_of_an_earlier_channel_acks_nothing(make_broker: MakeBroker, declare: Declare, queue_type: str) -> None:
    broker = make_broker(queue_type=queue_type)
    job = declare(broker, lambda number: None, actor_name="job")
    for number in range(3):
        job.send(number)
    consumer = broker.engine.consume(broker, "default", idle_ms=50)

    def take(count: int) -> list[Any]:
        deadline = time.monotonic() + 10
        taken: list[Any] = []
        while len(taken) < count and time.monotonic() < deadline:
            taken += [message for message in [next(consumer)] if message is not None]
        return taken

    before = take(3)
    consumer._session.drop("the test says so")
    after = take(3)
    for message in before:
        consumer.ack(message)
    next(consumer)
    consumer.close()

    assert [message.args for message in after] == [message.args for message in before]
    until(lambda: ready(broker) == 3, seconds=10, what="all three back in the queue")


def test_a_message_of_another_queue_name_runs_and_its_thread_lives(
    make_broker: MakeBroker, declare: Declare, run_worker: RunWorker, channel: Any
) -> None:
    broker = make_broker()
    ran: list[int] = []
    job = declare(broker, ran.append, actor_name="job")
    broker.declare_queue("default", ensure=True)
    foreign = job.message(1).copy(queue_name="elsewhere")
    channel.basic_publish("", broker.engine.options.topology.work("default").name, foreign.encode())
    run_worker(broker, threads=1)

    until(lambda: ran == [1], seconds=10, what="the foreign message")
    job.send(2)
    until(lambda: ran == [1, 2], seconds=10, what="the next message, on the same thread")


@pytest.mark.parametrize("idempotent", [False, True])
def test_a_retry_that_cannot_be_published_requeues_its_message(
    idempotent: bool,
    make_broker: MakeBroker,
    declare: Declare,
    run_worker: RunWorker,
    rabbitmq_server: services.RabbitMQ,
    prefix: str,
) -> None:
    broker = make_broker(
        # A quorum queue takes some messages beyond its limit before it refuses.
        queue_type="classic",
        publish_attempts=2,
        publish_timeout_s=2.0,
    )
    attempts: list[float] = []

    def job() -> None:
        attempts.append(time.monotonic())
        if len(attempts) < 3:
            raise RuntimeError("not yet")

    broker.engine.declarations.holds()
    with full(rabbitmq_server, prefix, "hold\\."):
        declare(broker, job, min_backoff=200, max_backoff=300, idempotent=idempotent).send()
        run_worker(broker, threads=1)
        until(lambda: len(attempts) == 2, seconds=20, what="the message again, though no retry could be published")
        assert holds_of(rabbitmq_server, prefix) == 0
    until(lambda: len(attempts) == 3, seconds=20, what="the attempt that succeeds")
    until(lambda: ready(broker) == 0, seconds=10, what="an empty queue")
    assert dead(broker) == 0


def test_a_dead_letter_holds_the_final_error(
    make_broker: MakeBroker, declare: Declare, run_worker: RunWorker, channel: Any, queue_type: str
) -> None:
    broker = make_broker(middleware=[Retries()], queue_type=queue_type)

    def fail(order: int) -> None:
        raise LookupError(f"order {order} is gone")

    sent = declare(broker, fail, max_retries=0).send(7)
    run_worker(broker)
    until(lambda: dead(broker) == 1, seconds=10, what="the dead letter")

    _, properties, body = channel.basic_get(broker.engine.options.topology.dead("default").name, auto_ack=True)
    letter = json.loads(body)
    assert letter["message_id"] == properties.message_id == sent.message_id
    assert letter["args"] == [7]
    assert "LookupError: order 7 is gone" in letter["options"]["traceback"]
    assert properties.delivery_mode == 2


def test_a_short_delay_does_not_wait_behind_long_ones(
    make_broker: MakeBroker, declare: Declare, run_worker: RunWorker
) -> None:
    broker = make_broker()
    ran: list[str] = []
    job = declare(broker, ran.append, actor_name="job")
    broker.enqueue_many([job.message("in an hour")] * 3_000, delay=3_600_000)
    run_worker(broker)

    started = time.monotonic()
    job.send_with_options(args=("soon",), delay=1_000)
    until(lambda: ran == ["soon"], seconds=10, what="the short delay")
    assert time.monotonic() - started >= 1.0
    assert ran == ["soon"]


def test_delays_are_honoured_when_the_queue_type_has_changed_meanwhile(
    make_broker: MakeBroker, declare: Declare, run_worker: RunWorker
) -> None:
    before, after = make_broker(queue_type="classic"), make_broker(queue_type="quorum")
    ran: list[int] = []
    declare(before, ran.append, actor_name="job").send_with_options(args=(1,), delay=1_500)
    declare(after, ran.append, actor_name="job")
    run_worker(after)
    until(lambda: ran == [1], seconds=15, what="the delayed message of the other queue type")


def test_a_producer_that_exits_at_once_has_sent_what_it_sent(
    broker_url: str, make_broker: MakeBroker, prefix: str
) -> None:
    program = f"""
        import os
        from actors import actor, configure
        configure(broker_url={broker_url!r}, queue_prefix={prefix!r})
        @actor
        def job(number: int) -> None: ...
        for number in range(500):
            job.send(number)
        os._exit(0)
    """
    done = warm().run("-c", textwrap.dedent(program), cwd=Path.cwd(), env=os.environ, timeout_s=60)
    assert done.returncode == 0, done.stderr
    broker = make_broker()
    broker.declare_queue("default")
    assert ready(broker) == 500


def test_a_send_to_a_silent_broker_raises_at_its_deadline(private_rabbitmq: services.RabbitMQ, prefix: str) -> None:
    options = RabbitmqOptions(Nodes([private_rabbitmq.url]), Topology(prefix=prefix), publish_timeout_s=1.0)
    broker = RabbitmqBroker(lambda: options, middleware=[])
    message: dramatiq.Message[None] = dramatiq.Message("default", "job", (), {}, {})
    broker.enqueue(message)
    private_rabbitmq.freeze()
    started = time.monotonic()
    with pytest.raises(EnqueueError, match=message.message_id) as raised:
        broker.enqueue(message)
    assert 0.9 < time.monotonic() - started < 3.0
    assert raised.value.maybe_enqueued
    assert raised.value.unconfirmed == [message]
    private_rabbitmq.thaw()
    broker.close()


def test_a_body_that_cannot_be_decoded_is_a_dead_letter_byte_for_byte(
    make_broker: MakeBroker, run_worker: RunWorker, channel: Any
) -> None:
    broker = make_broker()
    broker.declare_queue("default", ensure=True)
    topology = broker.engine.options.topology
    nonsense = [b"\xff\x00 not json", b"[]", b"{}", json.dumps({"args": 1}).encode()]
    for body in nonsense:
        channel.basic_publish("", topology.work("default").name, body)
    run_worker(broker)
    until(lambda: dead(broker) == len(nonsense), seconds=10, what="the dead letters")
    bodies = [channel.basic_get(topology.dead("default").name, auto_ack=True)[2] for _ in nonsense]
    assert sorted(bodies) == sorted(nonsense)
    until(lambda: ready(broker) == 0, seconds=5, what="an empty queue")


def test_a_message_for_an_unknown_actor_is_a_dead_letter(make_broker: MakeBroker, run_worker: RunWorker) -> None:
    broker = make_broker()
    broker.enqueue(dramatiq.Message("default", "nobody", (), {}, {}, message_id=str(uuid.uuid4())))
    run_worker(broker)
    until(lambda: dead(broker) == 1, seconds=10, what="the dead letter")
    assert ready(broker) == 0


def test_messages_of_plain_dramatiq_are_consumed(
    make_broker: MakeBroker, declare: Declare, run_worker: RunWorker, broker_url: str, prefix: str
) -> None:
    from dramatiq.brokers.rabbitmq import RabbitmqBroker as PlainBroker

    plain = PlainBroker(url=broker_url, middleware=[])
    plain.declare_queue(f"{prefix}.default")
    broker = make_broker()
    ran: list[int] = []
    job = declare(broker, ran.append, actor_name="job")
    plain.enqueue(job.message(1).copy(queue_name=f"{prefix}.default"))
    job.send(2)
    run_worker(broker)
    until(lambda: sorted(ran) == [1, 2], seconds=10, what="both generations")
    for suffix in ("DQ", "XQ"):
        plain.channel.queue_delete(f"{prefix}.default.{suffix}")
    plain.close()


def test_acks_of_jobs_that_end_out_of_order_leave_the_slow_one(
    make_broker: MakeBroker,
    declare: Declare,
    run_worker: RunWorker,
    rabbitmq_server: services.RabbitMQ,
    queue_type: str,
) -> None:
    broker = make_broker(prefetch=10, queue_type=queue_type)
    go_on, ran = threading.Event(), []

    def job(number: int) -> None:
        if number == 0:
            go_on.wait(20)
        ran.append(number)

    actor = declare(broker, job)
    broker.enqueue_many(actor.message(number) for number in range(200))
    worker = run_worker(broker, threads=3)
    until(lambda: len(ran) == 199, seconds=20, what="all but the slow one: acks do not wait behind it")
    work = broker.engine.options.topology.work("default").name
    until(lambda: unacked(rabbitmq_server, work) == 1, seconds=10, what="all acks but one")
    go_on.set()
    until(lambda: len(ran) == 200, seconds=10, what="the slow one")
    worker.join()
    assert sorted(ran) == list(range(200))


def test_a_lost_channel_makes_nothing_run_twice(
    make_broker: MakeBroker, declare: Declare, run_worker: RunWorker
) -> None:
    broker = make_broker(prefetch=50)
    go_on = threading.Event()
    ran: list[int] = []

    def job(number: int) -> None:
        if number == 0:
            go_on.wait(20)
        ran.append(number)

    actor = declare(broker, job)
    broker.enqueue_many(actor.message(number) for number in range(50))
    worker = run_worker(broker, threads=1)
    until(lambda: worker.work_queue.qsize() == 49, seconds=10, what="49 messages behind the one that runs")
    consumer = worker.consumers["default"].consumer
    consumer._session.call_soon(lambda: consumer._session.drop("the test says so"))  # type: ignore[union-attr]
    until(lambda: worker.work_queue.qsize() == 99, seconds=10, what="all 50 delivered again")
    go_on.set()
    until(lambda: len(ran) == 50, seconds=20, what="all messages")
    worker.join()
    assert sorted(ran) == list(range(50))


@pytest.mark.parametrize(
    "fields",
    [{"options": 5}, {"options": []}, {"actor_name": []}, {"kwargs": None}, {"message_id": 7}],
    ids=lambda fields: next(iter(fields)),
)
def test_a_message_of_a_wrong_shape_does_not_stop_the_queue(
    fields: dict[str, Any], make_broker: MakeBroker, declare: Declare, run_worker: RunWorker, channel: Any
) -> None:
    broker = make_broker()
    ran: list[int] = []
    job = declare(broker, ran.append, actor_name="job")
    broker.declare_queue("default", ensure=True)
    body = json.dumps({**job.message(1).asdict(), **fields}).encode()
    channel.basic_publish("", broker.engine.options.topology.work("default").name, body)
    job.send(2)
    run_worker(broker)
    until(lambda: ran == [2], seconds=10, what="the message behind it")
    until(lambda: dead(broker) == 1, seconds=10, what="its dead letter")


def test_plain_dramatiqs_dead_letter_queue_is_used_as_it_is(
    make_broker: MakeBroker, declare: Declare, run_worker: RunWorker, channel: Any
) -> None:
    broker = make_broker(queue_type="classic", middleware=[Retries()])
    channel.queue_declare(
        broker.engine.options.topology.dead("default").name, durable=True, arguments={"x-message-ttl": 604_800_000}
    )

    def fail() -> None:
        raise LookupError

    declare(broker, fail, max_retries=0).send()
    run_worker(broker)
    until(lambda: dead(broker) == 1, seconds=10, what="the dead letter")
    assert ready(broker) == 0
