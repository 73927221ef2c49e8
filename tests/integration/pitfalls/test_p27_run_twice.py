"""Pitfall 27: the same task runs twice and takes the stock twice."""

import os
import signal
import sqlite3
import time
from contextlib import closing
from functools import partial
from typing import Any

import pytest

import services
from middleware.keys import digest
from middleware.results import value_of
from middleware.stores import Record
from middleware.stores.redis import RedisStore
from services.deadline import until
from tests.integration.pitfalls.test_p16_late_ack import is_empty, worker_group
from tests.integration.project import Project
from tests.warm import warm

TASKS = """
    import time
    from pathlib import Path

    from actors import actor
    from middleware import current

    @actor(idempotency_key="{order_id}")
    def take(order_id: int, pieces: int, wait_for: str = "") -> int:
        with Path("taken").open("a") as taken:
            taken.write(f"{order_id} {pieces} {current().fence} {current().maybe_ran}\\n")
        while wait_for and not current().maybe_ran and not Path(wait_for).exists():
            time.sleep(0.02)
        return current().fence
"""

# Many web requests for the same order, each of which waits for the outcome.
CHECKOUT = """
from stock_tasks import take
message = take.send(42, 3)
print(message.get_result(block=True, timeout=20_000))
"""

HOLD = """
from stock_tasks import take
print(take.send(42, 3, "go-on").message_id)
"""

# The same message once more, as RabbitMQ delivers it when its first worker is not heard of.
AGAIN = """
from actors.assembly import broker
from stock_tasks import take
broker.enqueue(take.message(42, 3, "go-on").copy(message_id={message_id!r}))
"""

# The stock is in a database of the application's own; the first worker kills itself at the place that is named.
INBOX = """
    import os
    import signal
    import sqlite3
    from contextlib import closing, contextmanager
    from itertools import count
    from pathlib import Path

    from actors import actor, current
    from middleware import Inbox

    transactions = count(1)

    def note(file: str, text: str) -> None:
        with Path(file).open("a") as notes:
            notes.write(f"{text}\\n")

    def die_once(place: str) -> None:
        if os.environ.get("DIE") == place and not Path("died").exists():
            Path("died").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def begin():
        number = next(transactions)
        die_once(f"before transaction {number}")
        with closing(sqlite3.connect("shop.db", timeout=20)) as connection, connection:
            yield connection
            die_once(f"before commit {number}")
        die_once(f"after commit {number}")

    inbox = Inbox(begin)

    @actor
    def ship(order_id: int) -> None:
        note("shipped", f"{order_id}")

    @actor(idempotency_key="{order_id}")
    def take_stock(order_id: int, pieces: int) -> None:
        note("attempts", f"{current().maybe_ran}")
        with inbox.enter() as entry:
            if entry.first:
                entry.connection.execute("UPDATE stock SET pieces = pieces - ?", (pieces,))
                entry.send(ship.message(order_id))
"""

STOCK_UP = """
from stock_tasks import begin, inbox
inbox.create_tables()
with begin() as connection:
    connection.execute("CREATE TABLE stock (pieces INTEGER)")
    connection.execute("INSERT INTO stock VALUES (100)")
"""

# A worker takes one message at a time: a frozen one gets no second.
ENV = {"ACTORS_MODULES": "shop_tasks,stock_tasks", "ACTORS_IDEMPOTENCY_LEASE_MS": "1000", "ACTORS_PREFETCH": "1"}


@pytest.fixture
def stock(project: Project) -> Project:
    project.write("stock_tasks", TASKS)
    return project


def taken(project: Project) -> list[list[str]]:
    """What was taken: order, pieces, fence, and whether an earlier attempt may have done it."""
    file = project.folder / "taken"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def record(project: Project) -> Record:
    store = RedisStore(project.env["ACTORS_STORE_URL"], prefix=f"{project.prefix}actors:")
    found = store.inspect(digest("take", "42"))
    assert found is not None
    return found


def test_p27_the_stock_of_an_order_is_taken_once_and_all_who_asked_get_the_result(stock: Project) -> None:
    with worker_group(stock, **ENV), worker_group(stock, **ENV):
        logs = [stock.folder / f"request-{number}.log" for number in range(4)]
        start = partial(warm().start, "-c", CHECKOUT, env=stock.env | ENV, cwd=stock.folder)
        requests = [start(log=log) for log in logs]
        assert [request.wait(60) for request in requests] == [0] * 4
        results = [log.read_text().splitlines()[-1] for log in logs]

    [(order, pieces, fence, _)] = taken(stock)
    assert (order, pieces) == ("42", "3")
    assert results == [fence] * 4


def test_p27_a_key_that_comes_with_other_arguments_is_a_dead_letter(stock: Project) -> None:
    with worker_group(stock, **ENV):
        stock.actors("send", "take", "--args", "[42, 3]", **ENV)
        until(lambda: taken(stock), seconds=20, what="the first")
        stock.actors("send", "take", "--args", "[42, 5]", **ENV)
        until(lambda: stock.queues(**ENV)["default"]["dead"] == 1, seconds=20, what="the dead letter")

    assert len(taken(stock)) == 1


def test_p27_a_worker_that_comes_too_late_changes_nothing(stock: Project) -> None:
    # Given a worker that is frozen in the midst of an order
    with worker_group(stock, **ENV) as frozen:
        sent = stock.python("-c", HOLD, **ENV)
        until(lambda: taken(stock), seconds=20, what="its start")
        os.killpg(frozen.pid, signal.SIGSTOP)

        # When its lease is over, another takes the order over, and it goes on. One that came earlier would be delayed,
        # perhaps in the hand of the frozen worker.
        with worker_group(stock, **ENV):
            until(lambda: time.time() * 1000 > record(stock).until, seconds=20, what="the end of its lease")
            stock.python("-c", AGAIN.format(message_id=sent.stdout.strip()), **ENV)
            until(lambda: record(stock).state == "done", seconds=20, what="the end of the second attempt")
            (stock.folder / "go-on").touch()
            os.killpg(frozen.pid, signal.SIGCONT)
            log = stock.folder / "killed.log"
            until(lambda: "stale: " in log.read_text(), seconds=20, what="the end of the first attempt")

    # Then the second knew that the first may have come far, and its outcome is the one that counts
    (_, _, first, maybe_ran), (_, _, second, knew) = taken(stock)
    assert (maybe_ran, knew) == ("False", "True")
    assert int(second) > int(first)
    assert (record(stock).fence, value_of(record(stock).result)) == (int(second), int(second))


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("before commit 1", id="before_the_commit"),
        pytest.param("after commit 1", id="before_its_messages_are_sent"),
        pytest.param("before transaction 3", id="before_they_are_noted_as_sent"),
        pytest.param("after commit 3", id="before_the_outcome_is_recorded"),
    ],
)
def test_p27_with_the_inbox_a_worker_that_dies_takes_the_stock_once_and_ships_once(
    project: Project, rabbitmq_server: services.RabbitMQ, place: str
) -> None:
    # Given a worker that is killed in the midst of an order
    project.write("stock_tasks", INBOX)
    stocked = project.python("-c", STOCK_UP, **ENV)
    assert stocked.returncode == 0, stocked.stderr
    with worker_group(project, **ENV, DIE=place):
        project.actors("send", "take_stock", "--args", "[42, 3]", **ENV)
        until((project.folder / "died").exists, seconds=20, what="its death")
    until(lambda: project.consumers(**ENV) == 0, seconds=20, what="the end of its consumers")

    # When another one takes the order over
    with worker_group(project, **ENV):
        until(lambda: lines(project, "shipped"), seconds=20, what="the shipment")
        until(lambda: is_empty(project, rabbitmq_server), seconds=20, what="the end of all messages")

    # Then it knew that the first may have come far, and what was left to do was done
    assert lines(project, "attempts") == ["False", "True"]
    assert rows(project, "SELECT pieces FROM stock") == [(97,)]
    assert lines(project, "shipped") == ["42"]
    assert len(rows(project, "SELECT * FROM actors_inbox")) == 1
    assert rows(project, "SELECT * FROM actors_outbox") == []


def lines(project: Project, name: str) -> list[str]:
    file = project.folder / name
    return file.read_text().splitlines() if file.exists() else []


def rows(project: Project, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(project.folder / "shop.db")) as connection:
        return connection.execute(sql).fetchall()
