"""Several workers on one queue."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

from actors.brokers.sqlite.queues import Counts
from middleware.letter import now_ms
from middleware.stores.sqlite import SqliteFile
from services.deadline import until
from tests.integration.embedded.conftest import Declare, MakeBroker, working
from tests.unit.brokers.sqlite.table import Table

NOTHING = Counts(ready=0, delayed=0, held=0)


def test_each_message_runs_once_however_many_workers_there_are(
    make_broker: MakeBroker, declare: Declare, open_file: Callable[..., SqliteFile], table: Table
) -> None:
    ran: Counter[int] = Counter()
    lock = threading.Lock()

    def job(number: int) -> None:
        with lock:
            ran[number] += 1

    brokers = [make_broker(file=open_file()) for _ in range(3)]
    jobs = [declare(broker, job, idempotent=False) for broker in brokers]
    with working(brokers[0]), working(brokers[1]), working(brokers[2]):
        brokers[0].enqueue_many(jobs[0].message(number) for number in range(600))
        until(lambda: table.count(now=now_ms()) == NOTHING, seconds=30, what="an empty queue")

    assert ran == Counter(range(600))


def test_two_workers_share_a_short_queue_of_slow_jobs(
    make_broker: MakeBroker, declare: Declare, open_file: Callable[..., SqliteFile]
) -> None:
    # Given two workers of two threads, of which each counts the threads of both, since they are in one process
    ran: Counter[int] = Counter()
    brokers = [make_broker(file=open_file()) for _ in range(2)]

    def declared(index: int) -> None:
        def job(number: int) -> None:
            time.sleep(0.3)
            ran[index] += 1

        declare(brokers[index], job, actor_name="job")

    for index in range(2):
        declared(index)
    with working(brokers[0], threads=2), working(brokers[1], threads=2):
        brokers[0].enqueue_many(brokers[0].get_actor("job").message(number) for number in range(16))
        until(lambda: ran.total() == 16, seconds=20, what="all jobs")

    # Then neither hoards what the other could have done
    assert abs(ran[0] - ran[1]) <= 4
