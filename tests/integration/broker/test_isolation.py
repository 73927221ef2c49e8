"""One bad message, queue or clock is the trouble of its own senders only."""

import time
from typing import Any

import dramatiq
import pytest
from pika import BasicProperties

import services
from actors.brokers.nodes import Nodes
from actors.brokers.rabbitmq import RabbitmqBroker, RabbitmqOptions
from actors.brokers.topology import Topology
from actors.errors import EnqueueError
from middleware import Retries
from services.deadline import until
from tests.integration.broker.conftest import Declare, MakeBroker, RunWorker, full


def test_delays_for_a_full_queue_do_not_stop_those_for_others(
    make_broker: MakeBroker,
    declare: Declare,
    run_worker: RunWorker,
    rabbitmq_server: services.RabbitMQ,
    prefix: str,
) -> None:
    broker = make_broker(queue_type="classic")
    ran: list[int] = []
    job = declare(broker, ran.append, actor_name="job")
    broker.declare_queue("full", ensure=True)
    with full(rabbitmq_server, prefix, "full$"):
        jam = [dramatiq.Message[None]("full", "job", (0,), {}, {}) for _ in range(100)]
        broker.enqueue_many(jam, delay=100)
        # The worker must not consume the full queue, or it would not stay full.
        worker = dramatiq.Worker(broker, queues={"default"}, worker_threads=1, worker_timeout=50)
        worker.start()
        try:
            job.send_with_options(args=(1,), delay=300)
            until(lambda: ran == [1], seconds=10, what="the delayed message of the healthy queue")
        finally:
            worker.stop()


def test_a_sender_whose_clock_is_ahead_does_not_stop_other_delays(
    make_broker: MakeBroker, declare: Declare, run_worker: RunWorker, channel: Any
) -> None:
    broker = make_broker(queue_type="classic")
    ran: list[int] = []
    job = declare(broker, ran.append, actor_name="job")
    broker.engine.declarations.holds()
    hold = broker.engine.options.topology.hold(200).name
    ahead = int(time.time() * 1000) + 60_000
    headers = {"due": ahead + 200, "look": ahead + 200, "queue": "default"}
    for number in range(100):
        body = job.message(-number).encode()
        channel.basic_publish("", hold, body, BasicProperties(headers=headers, message_id=str(number)))
    run_worker(broker)
    job.send_with_options(args=(1,), delay=250)
    until(lambda: ran == [1], seconds=10, what="the delayed message of the sender whose clock is right")


def test_a_held_message_with_nonsense_in_its_headers_runs_now_and_stops_nothing(
    make_broker: MakeBroker, declare: Declare, run_worker: RunWorker, channel: Any
) -> None:
    broker = make_broker(queue_type="classic")
    ran: list[int] = []
    job = declare(broker, ran.append, actor_name="job")
    broker.engine.declarations.holds()
    hold = broker.engine.options.topology.hold(200).name
    properties = BasicProperties(headers={"due": "soon", "look": [], "queue": 7}, message_id="x")
    channel.basic_publish("", hold, job.message(1).encode(), properties)
    run_worker(broker)
    job.send_with_options(args=(2,), delay=300)
    until(lambda: sorted(ran) == [1, 2], seconds=10, what="both")


@pytest.mark.parametrize("options", [{"broker_priority": 300}, {"broker_priority": "high"}])
def test_a_message_that_amqp_cannot_carry_is_refused_alone_and_at_once(
    make_broker: MakeBroker, options: dict[str, Any]
) -> None:
    broker = make_broker()
    good = dramatiq.Message[None]("default", "job", (), {}, {})
    bad = dramatiq.Message[None]("default", "job", (), {}, options)
    with pytest.raises(EnqueueError, match="can't be published") as raised:
        broker.enqueue_many([good, bad])
    assert raised.value.unconfirmed == [bad]
    assert not raised.value.maybe_enqueued
    assert broker.get_queue_message_counts("default")[0] == 1


def test_a_dead_letter_that_cannot_be_forwarded_does_not_run_its_job_in_a_hot_loop(
    make_broker: MakeBroker,
    declare: Declare,
    run_worker: RunWorker,
    rabbitmq_server: services.RabbitMQ,
    prefix: str,
) -> None:
    broker = make_broker(queue_type="classic", middleware=[Retries()])
    runs: list[float] = []

    def fail() -> None:
        runs.append(time.monotonic())
        raise LookupError

    job = declare(broker, fail, max_retries=0)
    broker.engine.declarations.dead("default")
    with full(rabbitmq_server, prefix, "default\\.XQ$"):
        job.send()
        run_worker(broker)
        until(lambda: len(runs) == 2, seconds=15, what="the job again")
    assert runs[1] - runs[0] > 1.5
    until(lambda: broker.get_queue_message_counts("default")[2] == 1, seconds=15, what="its dead letter")


def test_a_first_send_to_a_silent_rabbitmq_is_an_enqueue_error(
    private_rabbitmq: services.RabbitMQ, prefix: str
) -> None:
    options = RabbitmqOptions(Nodes([private_rabbitmq.url]), Topology(prefix=prefix), publish_timeout_s=1.0)
    broker = RabbitmqBroker(lambda: options, middleware=[])
    private_rabbitmq.freeze()
    with pytest.raises(EnqueueError, match="is not in the queue"):
        broker.enqueue(dramatiq.Message("default", "job", (), {}, {}))
    private_rabbitmq.thaw()
    broker.close()


def test_messages_of_a_paused_worker_run_once(make_broker: MakeBroker, declare: Declare, run_worker: RunWorker) -> None:
    broker = make_broker()
    ran: list[int] = []

    def job(number: int) -> None:
        time.sleep(0.02)
        ran.append(number)

    actor = declare(broker, job)
    broker.enqueue_many(actor.message(number) for number in range(60))
    worker = run_worker(broker, threads=1)
    until(lambda: len(ran) > 3, seconds=10, what="some jobs")
    worker.pause()
    worker.resume()
    until(lambda: set(ran) == set(range(60)), seconds=15, what="all jobs, half a lease before a key that was not freed")
    worker.join()
    assert len(ran) == 60
