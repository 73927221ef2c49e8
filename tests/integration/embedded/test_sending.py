"""What a send promises."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import dramatiq
import pytest
from dramatiq.errors import ConnectionFailed

from actors.brokers.sqlite import NotJoinable
from actors.errors import EnqueueError, MessageTooLarge, NotEncodable
from middleware.stores.sqlite import SqliteFile
from services.deadline import until
from tests.integration.embedded.conftest import Declare, EmbeddedBroker, MakeBroker, RunWorker
from tests.unit.brokers.sqlite.table import Table

OpenFile = Callable[..., SqliteFile]


@contextmanager
def locked(file: SqliteFile) -> Iterator[None]:
    """Let another process write for the block."""
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.fixture
def job(broker: EmbeddedBroker, declare: Declare) -> Callable[..., dramatiq.Message[object]]:
    return declare(broker, lambda number: None, actor_name="job").message


def test_many_messages_are_sent_together_and_in_order(broker: EmbeddedBroker, table: Table, declare: Declare) -> None:
    job = declare(broker, lambda number: None, actor_name="job")

    sent = broker.enqueue_many(job.message(number) for number in range(2_500))

    taken = table.claim(table.enter(), 3_000)
    assert [each.message_id for each in taken] == [message.message_id for message in sent]
    assert [each.body for each in taken] == [message.encode() for message in sent]


def test_a_send_to_a_locked_file_raises_at_its_deadline_and_has_sent_nothing(
    make_broker: MakeBroker, open_file: OpenFile, declare: Declare, table: Table
) -> None:
    broker = make_broker(file=open_file(timeout_s=0.3))
    message = declare(broker, lambda number: None, actor_name="job").message(1)
    broker.declare_queue("default", ensure=True)
    started = time.monotonic()

    with (
        locked(table.file),
        pytest.raises(EnqueueError, match=f"{message.message_id}.*it is not in the queue") as raised,
    ):
        broker.enqueue(message)

    assert time.monotonic() - started < 5
    assert (raised.value.unconfirmed, raised.value.maybe_enqueued) == ([message], False)
    assert table.count().ready == 0
    broker.enqueue(message)
    assert table.count().ready == 1


def test_a_send_waits_for_another_who_writes(
    broker: EmbeddedBroker, job: Callable[..., dramatiq.Message[object]], table: Table
) -> None:
    broker.declare_queue("default", ensure=True)
    sender = threading.Thread(target=broker.enqueue, args=[job(1)])
    with locked(table.file):
        sender.start()
        sender.join(0.2)
        assert table.count().ready == 0
    sender.join(10)
    assert table.count().ready == 1


@pytest.mark.parametrize("problem", ["too large", "not encodable", "priority", "huge priority", "id"])
def test_what_cannot_be_sent_is_refused_and_so_are_all_that_are_sent_with_it(
    problem: str, make_broker: MakeBroker, declare: Declare, table: Table
) -> None:
    broker = make_broker(max_message_bytes=2_000)
    job = declare(broker, lambda argument: None, actor_name="job")
    bad: dict[str, Callable[[], dramatiq.Message[object]]] = {
        "too large": lambda: job.message("x" * 3_000),
        "not encodable": lambda: job.message(object()),
        "priority": lambda: job.message_with_options(args=(1,), broker_priority="high"),
        "huge priority": lambda: job.message_with_options(args=(1,), broker_priority=2**70),
        "id": lambda: job.message(1).copy(message_id="\ud800"),
    }

    with pytest.raises(MessageTooLarge if problem == "too large" else NotEncodable):
        broker.enqueue_many([job.message(1), bad[problem]()])

    assert table.count().ready == 0


def test_a_file_that_cannot_be_made_is_an_error_that_says_so(
    make_broker: MakeBroker, declare: Declare, table: Table
) -> None:
    broker = make_broker(file=SqliteFile(table.file.path.parent / "nowhere" / "actors.db", schema=()))
    job = declare(broker, lambda: None, actor_name="job")

    with pytest.raises(EnqueueError, match="nowhere") as raised:
        job.send()
    assert not raised.value.maybe_enqueued
    for call in (
        lambda: broker.declare_queue("default", ensure=True),
        lambda: broker.get_queue_message_counts("default"),
        lambda: broker.flush("default"),
    ):
        with pytest.raises(ConnectionFailed, match="nowhere"):
            call()


def test_a_send_in_an_application_s_transaction_is_a_part_of_it(
    broker: EmbeddedBroker, declare: Declare, table: Table, run_worker: RunWorker
) -> None:
    ran: list[int] = []
    job = declare(broker, ran.append, actor_name="job")
    broker.declare_queue("default", ensure=True)
    run_worker(broker)
    with closing(sqlite3.connect(table.file.path)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")

        def take_order(number: int, *, fail: bool) -> None:
            with broker.engine.joined(connection), connection:
                connection.execute("INSERT INTO orders VALUES (?)", (number,))
                job.send(number)
                broker.enqueue_many([job.message(number + 1)])
                assert broker.get_queue_message_counts("default")[0] == 0
                if fail:
                    raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            take_order(10, fail=True)
        take_order(20, fail=False)

        until(lambda: sorted(ran) == [20, 21], seconds=10, what="what was sent")
        assert connection.execute("SELECT id FROM orders").fetchall() == [(20,)]


def test_a_failed_send_in_an_application_s_transaction_is_an_enqueue_error(
    broker: EmbeddedBroker, job: Callable[..., dramatiq.Message[object]], table: Table
) -> None:
    broker.declare_queue("default", ensure=True)
    with closing(sqlite3.connect(table.file.path, timeout=0.1)) as connection, locked(table.file):
        with broker.engine.joined(connection), pytest.raises(EnqueueError, match="it is not in the queue") as raised:
            broker.enqueue(job(1))
        assert not raised.value.maybe_enqueued


def test_another_file_s_transaction_is_refused(broker: EmbeddedBroker) -> None:
    broker.declare_queue("default", ensure=True)
    with (
        closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(NotJoinable, match="a database in memory"),
        broker.engine.joined(connection),
    ):
        pytest.fail("it was not refused")
