"""Delayed messages while workers and RabbitMQ are killed."""

import logging
import random
import time
from collections.abc import Callable

import services
from services.deadline import until
from tests.faults.conftest import Workers
from tests.faults.producer import Producer

log = logging.getLogger(__name__)


def test_delays_survive_the_death_of_workers_and_of_rabbitmq_and_are_never_early(
    private_rabbitmq: services.RabbitMQ,
    prefix: str,
    start_workers: Callable[..., Workers],
    make_producer: Callable[..., Producer],
) -> None:
    # Given 500 messages that are due within ten seconds
    workers = start_workers(private_rabbitmq.url, prefix)
    producer = make_producer(private_rabbitmq.url, prefix)
    producer.send(-1)
    until(lambda: workers.journal.runs()[-1] == 1, seconds=20, what="the first message")
    until(lambda: f"{prefix}.hold.100.quorum" in private_rabbitmq.ctl("list_queues", "name"), seconds=10, what="holds")
    time.sleep(2)  # RabbitMQ 3.10 forgets a quorum queue when it is killed in the queue's first second
    due: dict[int, float] = {}
    for number in range(500):
        delay_ms = random.randint(1_000, 10_000)
        due[number] = time.time() + delay_ms / 1000
        producer.send(number, delay_ms=delay_ms)
    assert producer.confirmed == {-1, *due}

    # When the worker and its relay are killed, then RabbitMQ, while some are due and others are not
    workers.newest.kill()
    workers.start()
    private_rabbitmq.kill()
    private_rabbitmq.start()

    # Then all have run, none before its time, and none again but as one that may have run
    until(lambda: len(workers.journal.runs()) == 501, seconds=30, what="all delayed messages")
    ran_at = workers.journal.first_runs()
    assert min(ran_at[number] - due[number] for number in due) >= 0
    runs = workers.journal.runs()
    log.info("sent 501, run %d, run again %d, early 0", len(runs), runs.total() - len(runs))
    assert max(workers.journal.unaware().values()) == 1
