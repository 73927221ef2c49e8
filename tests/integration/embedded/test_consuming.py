"""How a consumer takes messages and ends them, whatever happens to its lease and to the file."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import SkipMessage

from actors.brokers.outgoing import Following
from actors.brokers.sqlite.consumer import Consumer
from actors.brokers.sqlite.queues import Counts
from actors.brokers.sqlite.tenure import Tenure
from actors.brokers.sqlite.tick_runs import TickRun
from actors.health.look import consuming
from middleware.letter import now_ms
from middleware.stores.sqlite import SqliteFile
from services.deadline import until
from tests.integration.embedded.conftest import Declare, EmbeddedBroker, MakeBroker, RunWorker, working
from tests.unit.brokers.sqlite.table import Table, names

NOTHING = Counts(ready=0, delayed=0, held=0)
LEASE_MS = 600


def take(consumer: dramatiq.Consumer, count: int) -> list[Any]:
    """Return the next *count* messages, or fewer if they do not come."""
    deadline = time.monotonic() + 10
    taken: list[Any] = []
    while len(taken) < count and time.monotonic() < deadline:
        taken += [message for message in [next(consumer)] if message is not None]
    return taken


def turn(consumer: dramatiq.Consumer, condition: Callable[[], bool], what: str) -> None:
    """Let the consumer's thread, which is this one, go on until *condition* holds."""

    def reached() -> bool:
        assert next(consumer) is None
        return condition()

    until(reached, seconds=10, what=what)


def now(table: Table) -> Counts:
    return table.count(now=now_ms())


def lose(table: Table) -> None:
    """Free what all hold, as another process does that finds their leases over."""
    table.evict(now=now_ms() + 3_600_000)


@contextmanager
def locked(file: SqliteFile) -> Iterator[None]:
    with closing(sqlite3.connect(file.path, isolation_level=None, timeout=20)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.fixture
def sent(broker: EmbeddedBroker, declare: Declare) -> list[str]:
    """The ids of three messages in the queue."""
    job = declare(broker, lambda number: None, actor_name="job")
    return [message.message_id for message in broker.enqueue_many(job.message(number) for number in range(3))]


def test_messages_that_end_are_gone_and_the_others_stay(broker: EmbeddedBroker, sent: list[str], table: Table) -> None:
    consumer = broker.consume("default", timeout=20)
    first, second, third = take(consumer, 3)
    assert [each.message_id for each in (first, second, third)] == sent
    assert not any(each.redelivered for each in (first, second, third))

    consumer.ack(second)
    turn(consumer, lambda: now(table).held == 2, what="the end of the second")
    consumer.close()

    assert names(table.claim(table.enter())) == [first.message_id, third.message_id]


def test_a_consumer_that_is_closed_gives_back_what_it_has_and_nothing_counts_as_lost(
    broker: EmbeddedBroker, sent: list[str]
) -> None:
    consumer = broker.consume("default", timeout=20)
    messages = take(consumer, 2)
    consumer.requeue(messages[:1])
    consumer.close()

    another = broker.consume("default", timeout=20)
    again = take(another, 3)
    assert [(each.message_id, each.redelivered) for each in again] == [(each, False) for each in sent]
    another.close()


def test_what_a_lost_worker_had_is_delivered_again_and_says_so(
    broker: EmbeddedBroker, sent: list[str], table: Table
) -> None:
    lost = table.enter(until=now_ms() + LEASE_MS)
    table.claim(lost, 2)
    started = time.monotonic()
    consumer = broker.consume("default", timeout=20)

    again = take(consumer, 3)

    assert [(each.message_id, each.redelivered) for each in again] == [
        (sent[2], False),
        (sent[0], True),
        (sent[1], True),
    ]
    assert LEASE_MS / 1000 - 0.1 < time.monotonic() - started < 5
    consumer.close()


def test_a_lease_is_renewed_while_a_job_runs_for_longer(
    make_broker: MakeBroker, declare: Declare, open_file: Callable[..., SqliteFile], table: Table
) -> None:
    # Given two workers, of which one has a job that takes four leases
    first, second = make_broker(lease_ms=LEASE_MS), make_broker(lease_ms=LEASE_MS, file=open_file())
    ran: list[float] = []

    def job() -> None:
        ran.append(time.monotonic())
        time.sleep(LEASE_MS * 4 / 1000)

    for broker in (first, second):
        declare(broker, job, idempotent=False)
    with working(first, threads=1), working(second, threads=1):
        first.get_actor("job").send()
        until(lambda: now(table) == NOTHING and ran, seconds=20, what="the end of the job")

    assert len(ran) == 1


def test_who_has_lost_its_lease_ends_nothing_and_starts_nothing(
    broker: EmbeddedBroker, sent: list[str], table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    consumer = broker.consume("default", timeout=20)
    before = take(consumer, 3)
    lose(table)
    consumer.ack(before[0])

    after = take(consumer, 3)

    assert [(each.message_id, each.redelivered) for each in after] == [(each, True) for each in sent]
    assert all(each.epoch.over for each in before)
    assert not any(each.epoch.over for each in after)
    for each in before:
        consumer.ack(each)
    assert take_none(consumer)
    assert now(table).held == 3
    for each in after:
        consumer.ack(each)
    turn(consumer, lambda: now(table) == NOTHING, what="the end of all three")
    consumer.close()
    assert "are others' now" in caplog.text


def take_none(consumer: dramatiq.Consumer) -> bool:
    return all(next(consumer) is None for _ in range(5))


def test_nothing_follows_an_attempt_whose_lease_is_another_s(
    broker: EmbeddedBroker, declare: Declare, table: Table
) -> None:
    started, go_on = threading.Event(), threading.Event()

    def job() -> None:
        started.set()
        assert go_on.wait(20)
        raise ConnectionError

    declare(broker, job, idempotent=False, min_backoff=3_600_000, max_backoff=3_600_000).send()
    with working(broker, threads=1):
        assert started.wait(10)
        lose(table)
        # Another takes it, and does not end it.
        assert len(table.claim(table.enter(until=now_ms() + 3_600_000))) == 1
        go_on.set()
    assert now(table) == Counts(ready=0, delayed=0, held=1)


def test_a_frozen_worker_starts_nothing_of_what_may_be_another_s(
    make_broker: MakeBroker, declare: Declare, table: Table
) -> None:
    # Given a worker whose process has been frozen for longer than its lease, and was then missed
    broker = make_broker(lease_ms=LEASE_MS)
    ran: list[int] = []
    job = declare(broker, ran.append, actor_name="job", idempotent=False)
    job.send(1)
    consumer = broker.consume("default", timeout=20)
    (delivery,) = take(consumer, 1)
    assert isinstance(delivery.epoch, Tenure)
    delivery.epoch.until = now_ms() - 1

    # When it would start it
    with pytest.raises(SkipMessage, match="delivered again"):
        broker.emit_before("process_message", delivery)

    # Then it goes back to its queue
    assert delivery.requeue
    consumer.ack(delivery)
    (again,) = take(consumer, 1)
    assert (again.message_id, again.redelivered) == (delivery.message_id, False)
    consumer.close()


def test_a_locked_file_stops_no_thread_and_all_goes_on_when_it_is_free(
    make_broker: MakeBroker,
    declare: Declare,
    open_file: Callable[..., SqliteFile],
    run_worker: RunWorker,
    table: Table,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = make_broker(file=open_file(timeout_s=0.2))
    ran: list[int] = []

    def job(number: int) -> None:
        ran.append(number)
        time.sleep(0.05)

    actor = declare(broker, job)
    broker.enqueue_many(actor.message(number) for number in range(40))
    with caplog.at_level(logging.WARNING, "actors.brokers.sqlite"):
        worker = run_worker(broker, threads=2)
        until(lambda: ran, seconds=10, what="the first job")
        with locked(table.file):
            until(lambda: "messages wait" in caplog.text, seconds=10, what="the report")
            until(lambda: "locked" in consuming(worker)[0].problem, seconds=10, what="a word to those who ask")
        until(lambda: now(table) == NOTHING, seconds=30, what="the end of all jobs")

    until(lambda: consuming(worker)[0].problem == "", seconds=10, what="a consumer that is well")
    assert sorted(ran) == list(range(40))
    assert all(thread.is_alive() for thread in [*worker.workers, *worker.consumers.values()])
    said = [record.message.split(":")[0] for record in caplog.records if record.name == "actors.brokers.sqlite.outage"]
    assert said == ["messages wait", "messages go on"]


def test_what_a_commit_that_failed_has_taken_all_the_same_is_given_back(
    broker: EmbeddedBroker, sent: list[str], table: Table
) -> None:
    consumer = broker.consume("default", timeout=20)
    (first, _, _) = take(consumer, 3)
    # Given that two are held, of which the consumer does not know, as after a commit whose answer was lost
    assert isinstance(consumer, Consumer)
    share = consumer._share
    for each in list(share.held):
        if each != first.tag:
            del share.held[each]
    share._is_in_doubt = True

    consumer.ack(first)
    again = take(consumer, 2)

    assert [each.message_id for each in again] == sent[1:]
    consumer.close()
    assert now(table) == Counts(ready=2, delayed=0, held=0)


def test_one_end_that_cannot_be_written_does_not_stop_the_others(
    broker: EmbeddedBroker, sent: list[str], table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    consumer = broker.consume("default", timeout=20)
    first, second, third = take(consumer, 3)
    # A record that has no pace can be of no use, and the table refuses it.
    second.outbox.append(Following(None, TickRun(None, b"")))  # type: ignore[arg-type]
    for each in (first, second, third):
        consumer.ack(each)

    (again,) = take(consumer, 1)

    assert again.message_id == second.message_id
    consumer.ack(again)
    turn(consumer, lambda: now(table) == NOTHING, what="the end of all three")
    consumer.close()
    assert "going on one by one" in caplog.text


def test_a_worker_that_stops_takes_no_more(broker: EmbeddedBroker, declare: Declare, table: Table) -> None:
    started, go_on = threading.Event(), threading.Event()

    def job(number: int) -> None:
        started.set()
        assert go_on.wait(20)

    actor = declare(broker, job)
    actor.send(0)
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=20)
    worker.start()
    assert started.wait(10)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    until(lambda: not worker.workers[0].running, seconds=10, what="the stop")
    broker.enqueue_many(actor.message(number) for number in range(1, 6))
    go_on.set()
    stopping.join(20)

    assert now(table) == Counts(ready=5, delayed=0, held=0)


def test_the_keys_of_what_had_not_started_are_free_after_a_stop(
    broker: EmbeddedBroker, declare: Declare, run_worker: RunWorker
) -> None:
    # Given messages that had their keys, for thirty seconds, when their worker stopped
    ran: list[int] = []
    job = declare(broker, ran.append, actor_name="job")
    broker.enqueue_many(job.message(number) for number in range(3))
    consumer = broker.consume("default", timeout=20)
    take(consumer, 3)
    consumer.close()

    run_worker(broker)

    until(lambda: sorted(ran) == [0, 1, 2], seconds=10, what="all three")
