"""RabbitMQ stopped, killed and frozen under producers and workers."""

import logging
import time
from collections.abc import Callable
from functools import partial

import pytest

import services
from actors.brokers.topology import QueueType
from services.deadline import until
from tests.faults.conftest import LEASE_MS, Workers
from tests.faults.producer import Producer

log = logging.getLogger(__name__)

Fault = Callable[[services.RabbitMQ], None]


def stop_and_start(server: services.RabbitMQ) -> None:
    server.stop()
    server.start()


def kill_and_start(server: services.RabbitMQ) -> None:
    server.kill()
    server.start()


def freeze_5_s(server: services.RabbitMQ) -> None:
    server.freeze()
    time.sleep(5)  # the fault itself
    server.thaw()


CASES = [
    pytest.param(stop_and_start, "quorum", 10.0, id="stopped"),
    pytest.param(stop_and_start, "quorum", 1.0, id="stopped-impatient", marks=pytest.mark.long),
    pytest.param(kill_and_start, "quorum", 10.0, id="killed", marks=pytest.mark.long),
    pytest.param(kill_and_start, "quorum", 1.0, id="killed-impatient", marks=pytest.mark.long),
    pytest.param(kill_and_start, "classic", 1.0, id="killed-classic-impatient", marks=pytest.mark.long),
    pytest.param(freeze_5_s, "quorum", 10.0, id="frozen", marks=pytest.mark.long),
    pytest.param(freeze_5_s, "quorum", 1.0, id="frozen-impatient"),
    pytest.param(stop_and_start, "classic", 10.0, id="stopped-classic", marks=pytest.mark.long),
    pytest.param(kill_and_start, "classic", 10.0, id="killed-classic", marks=pytest.mark.long),
    pytest.param(freeze_5_s, "classic", 1.0, id="frozen-classic-impatient", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("fault", "queue_type", "publish_timeout_s"), CASES)
def test_what_send_confirmed_is_run_whatever_befalls_rabbitmq(
    fault: Fault,
    queue_type: QueueType,
    publish_timeout_s: float,
    private_rabbitmq: services.RabbitMQ,
    prefix: str,
    start_workers: Callable[..., Workers],
    make_producer: Callable[..., Producer],
) -> None:
    # Given 2,000 messages on their way through a worker
    workers = start_workers(private_rabbitmq.url, prefix, queue_type)
    producer = make_producer(private_rabbitmq.url, prefix, queue_type, publish_timeout_s)
    producer.send(-1)
    until(lambda: workers.journal.runs()[-1] == 1, seconds=20, what="the first message")
    time.sleep(2)  # RabbitMQ 3.10 forgets a quorum queue when it is killed in the queue's first second
    wait = producer.start(range(2_000), threads=4, each_s=0.002)
    until(lambda: producer.answered > 500, seconds=30, what="a quarter of the messages")

    # When RabbitMQ fails in their midst, and comes back
    fault(private_rabbitmq)
    back = time.monotonic()
    producer.send(2_000)
    while 2_000 not in producer.confirmed:
        producer.send(2_000)
    until(lambda: workers.journal.runs()[2_000], seconds=5 - (time.monotonic() - back), what="a new message")
    recovered_s = time.monotonic() - back
    wait()

    # Then all that was confirmed is run once, and nothing that was surely refused
    assert producer.answered >= 2_002  # one number may be refused first and confirmed later
    until(lambda: producer.confirmed <= workers.journal.runs().keys(), seconds=30, what="every confirmed message")
    runs = workers.journal.runs()
    assert not (producer.refused - producer.confirmed) & runs.keys()
    assert runs.keys() <= producer.confirmed | producer.maybe
    time.sleep(LEASE_MS / 1000 + 0.5)  # a copy that found its key held looks again within a lease
    again = workers.journal.runs()
    assert again.keys() == runs.keys()
    assert again.total() == len(again)
    log.info(
        "confirmed %d, refused %d, unknown %d, run %d, run again %d, lost 0, recovered in %.1f s",
        len(producer.confirmed),
        len(producer.refused),
        len(producer.maybe),
        len(runs),
        again.total() - len(again),
        recovered_s,
    )


@pytest.mark.long
def test_a_killed_worker_loses_no_message_and_repeats_none_unawares(
    rabbitmq_server: services.RabbitMQ,
    prefix: str,
    start_workers: Callable[..., Workers],
    make_producer: Callable[..., Producer],
) -> None:
    workers = start_workers(rabbitmq_server.url, prefix)
    producer = make_producer(rabbitmq_server.url, prefix)
    wait = producer.start(range(2_000), threads=4, each_s=0.001)
    for done in (200, 600, 1_000):
        until(partial(workers.journal.reaches, done), seconds=30, what=f"{done} messages")
        workers.newest.kill()
        workers.start()
    wait()
    assert len(producer.confirmed) == 2_000
    until(lambda: workers.journal.runs().keys() == producer.confirmed, seconds=30, what="every message")
    runs, unaware = workers.journal.runs(), workers.journal.unaware()
    log.info("confirmed %d, run %d, run again %d, lost 0", 2_000, len(runs), runs.total() - len(runs))
    assert max(unaware.values()) == 1
