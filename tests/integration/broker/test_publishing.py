"""What a send promises, and what it says when it can't keep it."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import dramatiq
import pytest

import services
from actors.brokers.nodes import Nodes
from actors.brokers.rabbitmq import RabbitmqBroker, RabbitmqOptions
from actors.brokers.topology import Topology
from actors.errors import EnqueueError, MessageTooLarge, NotEncodable, QueueMismatch
from services.deadline import until
from tests.integration.broker.conftest import Declare, MakeBroker, full


def message(**fields: Any) -> dramatiq.Message[None]:
    return dramatiq.Message(
        **{"queue_name": "default", "actor_name": "job", "args": (), "kwargs": {}, "options": {}, **fields}
    )


def broker_on(url: str, prefix: str, **options: Any) -> RabbitmqBroker:
    # Classic, because a quorum queue that is killed with RabbitMQ in its first second does not come back (3.10).
    made = RabbitmqOptions(Nodes([url]), Topology(prefix=prefix, queue_type="classic"), **options)
    return RabbitmqBroker(lambda: made, middleware=[])


def test_a_queue_deleted_under_a_producer_is_made_again(make_broker: MakeBroker, channel: Any) -> None:
    broker = make_broker()
    broker.enqueue(message())
    channel.queue_delete(broker.engine.options.topology.work("default").name)
    broker.enqueue(message())
    assert broker.get_queue_message_counts("default")[0] == 1


def test_a_queue_with_other_arguments_is_named_with_both_values_and_the_way_out(
    make_broker: MakeBroker, channel: Any
) -> None:
    broker = make_broker()
    work = broker.engine.options.topology.work("default")
    broker.queues.add("default")
    channel.queue_declare(work.name, durable=True, arguments={**work.arguments, "x-delivery-limit": 5})
    with pytest.raises(QueueMismatch) as raised:
        broker.enqueue(message())
    text = str(raised.value)
    assert work.name in text
    assert "x-delivery-limit='5'" in text
    assert "we declare '1000'" in text
    assert "ACTORS_QUEUE_PREFIX" in text


def test_a_worker_consumes_what_exists_with_other_arguments(
    make_broker: MakeBroker, channel: Any, declare: Declare, run_worker: Any
) -> None:
    broker = make_broker()
    work = broker.engine.options.topology.work("default")
    channel.queue_declare(work.name, durable=True, arguments={**work.arguments, "x-delivery-limit": 5})
    ran: list[int] = []
    job = declare(broker, ran.append, actor_name="job")
    channel.basic_publish("", work.name, job.message(1).encode())
    run_worker(broker)
    until(lambda: ran == [1], seconds=10, what="the message in the mismatched queue")


def test_enqueue_many_confirms_each_message_and_keeps_order(make_broker: MakeBroker, channel: Any) -> None:
    broker = make_broker()
    sent = broker.enqueue_many(message(args=(number,)) for number in range(2_500))
    assert len(sent) == broker.get_queue_message_counts("default")[0] == 2_500
    first = dramatiq.Message.decode(channel.basic_get(broker.engine.options.topology.work("default").name)[2])
    assert first.message_id == sent[0].message_id


def test_enqueue_many_names_what_was_not_confirmed(
    make_broker: MakeBroker, rabbitmq_server: services.RabbitMQ, prefix: str
) -> None:
    # A quorum queue takes some messages beyond its limit before it refuses.
    broker = make_broker(publish_attempts=2, queue_type="classic")
    broker.declare_queue("full", ensure=True)
    messages = [message(queue_name=name) for name in ("default", "full", "default", "full")]
    refused = pytest.raises(EnqueueError, match="2 messages, the first of them message")
    with full(rabbitmq_server, prefix, "full"), refused as raised:
        broker.enqueue_many(messages)
    assert raised.value.unconfirmed == [messages[1], messages[3]]
    assert broker.get_queue_message_counts("default")[0] == 2
    assert broker.get_queue_message_counts("full")[0] == 0


def test_each_attempt_has_the_same_message_id(make_broker: MakeBroker, channel: Any) -> None:
    broker = make_broker()
    first = message()
    broker.enqueue(first)
    channel.queue_delete(broker.engine.options.topology.work("default").name)
    broker.enqueue(first)
    _, properties, body = channel.basic_get(broker.engine.options.topology.work("default").name)
    assert properties.message_id == first.message_id == dramatiq.Message.decode(body).message_id


def test_a_higher_broker_priority_goes_first(make_broker: MakeBroker, channel: Any) -> None:
    broker = make_broker(queue_type="classic", max_priority=9)
    for priority in (None, 1, 9, 5):
        broker.enqueue(message(options={} if priority is None else {"broker_priority": priority}))
    work = broker.engine.options.topology.work("default")
    assert work.name.endswith("default.p9")
    got = [channel.basic_get(work.name, auto_ack=True)[1].priority for _ in range(4)]
    assert got == [9, 5, 1, None]


def test_threads_share_one_connection_and_each_send_waits_for_its_own_confirm(make_broker: MakeBroker) -> None:
    broker = make_broker()

    def send() -> None:
        for _ in range(100):
            broker.enqueue(message())

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert broker.get_queue_message_counts("default")[0] == 800
    assert sum(thread.name == "actors-publisher" and thread.is_alive() for thread in threading.enumerate()) >= 1


def test_what_cannot_be_encoded_or_is_too_large_is_not_sent(make_broker: MakeBroker, declare: Declare) -> None:
    broker = make_broker(max_message_bytes=1_000)
    job = declare(broker, lambda items: None, actor_name="job")
    with pytest.raises(NotEncodable, match=r"args\[0\]\[0\]\.price"):
        job.send([{"price": 1j}])
    with pytest.raises(MessageTooLarge, match="pass its id"):
        job.send("x" * 1_000)
    assert broker.get_queue_message_counts("default")[0] == 0


def test_an_unreachable_broker_is_an_error_that_names_it_and_hides_the_password(prefix: str) -> None:
    broker = broker_on("amqp://shop:secret@127.0.0.1:9/", prefix, publish_timeout_s=0.5)
    with pytest.raises(EnqueueError) as raised:
        broker.enqueue(message())
    assert "amqp://shop:***@127.0.0.1:9/" in str(raised.value)
    assert "ConnectionRefusedError" in str(raised.value)
    assert "is not in the queue" in str(raised.value)
    assert not raised.value.maybe_enqueued


def test_a_refused_password_is_told_apart_from_an_absent_broker(broker_url: str, prefix: str) -> None:
    broker = broker_on(broker_url.replace("guest:guest", "guest:wrong"), prefix, publish_timeout_s=2.0)
    with pytest.raises(EnqueueError, match=r"ACCESS_REFUSED|AuthenticationError"):
        broker.enqueue(message())
    broker.close()


def test_a_dead_node_is_passed_over(make_broker: MakeBroker, broker_url: str) -> None:
    broker = make_broker(nodes=Nodes(["amqp://guest:guest@127.0.0.1:9/", broker_url]))
    for _ in range(5):
        broker.enqueue(message())
    assert broker.get_queue_message_counts("default")[0] == 5


def test_a_blocked_broker_is_named_as_the_reason(private_rabbitmq: services.RabbitMQ, prefix: str) -> None:
    broker = broker_on(private_rabbitmq.url, prefix, publish_timeout_s=2.0)
    broker.enqueue(message())
    private_rabbitmq.ctl("set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        until(lambda: _is_refused(broker), seconds=20, what="a refusal that names the alarm")
    finally:
        private_rabbitmq.ctl("set_vm_memory_high_watermark", "0.6")
    until(lambda: _is_sent(broker), seconds=20, what="a send after the alarm")
    broker.close()


def _is_refused(broker: RabbitmqBroker) -> bool:
    try:
        broker.enqueue(message())
    except EnqueueError as error:
        return "RabbitMQ has blocked publishers" in str(error)
    return False


def _is_sent(broker: RabbitmqBroker) -> bool:
    try:
        broker.enqueue(message())
    except EnqueueError:
        return False
    return True


def test_an_idle_producer_whose_heartbeats_were_missed_sends_again(broker_url: str, prefix: str) -> None:
    program = f"""
        import sys
        from actors import actor, configure
        configure(broker_url={broker_url!r}, queue_prefix={prefix!r}, broker_heartbeat_s=1)
        @actor
        def job(number: int) -> None: ...
        for line in sys.stdin:
            job.send(int(line))
            print("sent", flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as producer:
        assert producer.stdin is not None
        assert producer.stdout is not None
        producer.stdin.write("1\n")
        producer.stdin.flush()
        assert producer.stdout.readline() == "sent\n"
        os.kill(producer.pid, signal.SIGSTOP)
        time.sleep(4)  # the fault itself: two heartbeats of 1 s missed, and RabbitMQ gives the connection up
        os.kill(producer.pid, signal.SIGCONT)
        producer.stdin.write("2\n")
        producer.stdin.flush()
        assert producer.stdout.readline() == "sent\n"
        producer.stdin.close()


def test_a_send_after_close_connects_again(make_broker: MakeBroker) -> None:
    broker = make_broker()
    broker.enqueue(message())
    broker.close()
    broker.enqueue(message())
    assert broker.get_queue_message_counts("default")[0] == 2


def test_a_broker_that_comes_back_within_the_deadline_costs_a_send_nothing(
    private_rabbitmq: services.RabbitMQ, prefix: str
) -> None:
    broker = broker_on(private_rabbitmq.url, prefix, publish_timeout_s=30.0)
    broker.enqueue(message())
    time.sleep(2)  # RabbitMQ 3.10 may forget a queue when it is killed in the queue's first second
    private_rabbitmq.kill()
    failures: list[BaseException] = []

    def send() -> None:
        try:
            broker.enqueue(message())
        except EnqueueError as error:
            failures.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    private_rabbitmq.start()
    sender.join(40)
    assert not sender.is_alive()
    assert failures == []
    assert broker.get_queue_message_counts("default")[0] == 2
    broker.close()
