"""Copies of a message, and messages with one key, on two workers at once."""

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from middleware import current
from middleware.results import value_of
from services.deadline import until
from tests.integration.broker.conftest import MakeBroker
from tests.integration.idempotency.conftest import Site

COPIES = 4


@pytest.mark.parametrize("keyed", [False, True])
def test_copies_that_are_published_at_the_same_time_run_once(site: Site, keyed: bool) -> None:
    # Given two workers, and messages of each of which there are four
    other = site.another()
    ran: list[int] = []
    job = site.declare(
        lambda number: ran.append(number), lease=500, **({"idempotency_key": "{number}"} if keyed else {})
    )
    messages = [job.message(number) for number in range(50)]

    # When all are sent at the same time
    def send(_: int) -> None:
        site.brokers[0].enqueue_many(
            [job.message(number) for number in range(50)] if keyed else [message.copy() for message in messages]
        )

    with site.working(threads=4), site.working(other, threads=4):
        with ThreadPoolExecutor(COPIES) as pool:
            list(pool.map(send, range(COPIES)))
        until(lambda: site.counts["duplicate"] == 50 * (COPIES - 1), seconds=20, what="the end of all copies")

    # Then each has run once, on one of them, and its copies are counted
    assert Counter(ran) == dict.fromkeys(range(50), 1)
    assert site.left == (0, 0)
    assert set(site.counts) <= {"duplicate", "later"}


def test_a_copy_of_a_message_that_runs_elsewhere_waits_for_it(site: Site) -> None:
    other = site.another()
    go_on, ran = threading.Event(), list[str]()

    def job() -> None:
        ran.append(current().message.message_id)
        assert go_on.wait(20)

    message = site.declare(job, lease=1_000).send()
    with site.working():
        until(lambda: ran, seconds=10, what="the start of the job")
        with site.working(other):
            site.brokers[0].enqueue(message)
            until(lambda: site.counts["later"] >= 2, seconds=10, what="the copy, though its lease would be over twice")
            go_on.set()
            until(lambda: site.counts["duplicate"], seconds=10, what="the end of the copy")

    assert ran == [message.message_id]
    assert site.left == (0, 0)


def test_a_message_that_waits_for_its_key_runs_after_the_other(site: Site) -> None:
    other = site.another()
    started, go_on, ended = threading.Event(), threading.Event(), list[int]()

    def job(number: int) -> None:
        started.set()
        assert go_on.wait(20)
        ended.append(number)
        raise RuntimeError

    waiting = site.declare(job, idempotency_key="order", on_duplicate="wait", max_retries=0)
    with site.working(), site.working(other):
        first = waiting.send(1)
        until(started.is_set, seconds=10, what="the start of the first")
        second = waiting.send(1)
        until(lambda: site.counts["later"], seconds=10, what="the second")
        assert ended == []
        go_on.set()
        until(lambda: site.left[1] == 2, seconds=10, what="both failures")

    assert ended == [1, 1]
    record = site.record("order")
    assert record is not None
    assert (record.state, record.owner) == ("failed", second.message_id)
    assert first.message_id != second.message_id


def test_a_conflict_is_a_dead_letter_at_once(site: Site) -> None:
    ran: list[int] = []
    job = site.declare(ran.append)
    with site.working():
        job.send_with_options(args=(1,), idempotency_key="order")
        until(lambda: site.state("order") == "done", seconds=10, what="the first")
        job.send_with_options(args=(2,), idempotency_key="order")
        until(lambda: site.left == (0, 1), seconds=10, what="the dead letter")

    assert ran == [1]
    assert site.counts == {"conflict": 1}


def test_retries_of_two_copies_are_those_of_one_message(site: Site) -> None:
    other = site.another()
    numbers: list[int] = []

    def job() -> None:
        numbers.append(current().number)
        raise ConnectionError

    failing = site.declare(job, max_retries=2, min_backoff=100, max_backoff=200, lease=500)
    with site.working(), site.working(other):
        message = failing.message()
        site.brokers[0].enqueue_many([message, message.copy()])
        until(lambda: site.left[1] == 2, seconds=20, what="both dead letters")

    assert sorted(numbers) == [1, 2, 3]
    record = site.record(message.message_id)
    assert record is not None
    assert (record.state, record.retries) == ("failed", 3)


def test_an_async_actor_is_guarded_like_any_other(site: Site, make_broker: MakeBroker) -> None:
    # An event loop is a process's own: here is one.
    site.brokers = [make_broker()]
    ran: list[tuple[int, bool]] = []

    async def job(number: int) -> int:
        await asyncio.sleep(0.01)
        ran.append((number, current().fence > 0))
        return number * 100

    message = site.declare(job, idempotency_key="{number}", lease=500).send(1)
    site.brokers[0].enqueue(message)
    with site.working():
        until(lambda: site.counts["duplicate"] == 1, seconds=10, what="the copy")

    assert ran == [(1, True)]
    record = site.record("1")
    assert record is not None
    assert value_of(record.result) == 100


def test_what_follows_a_message_follows_once_though_both_copies_send_it(site: Site) -> None:
    other = site.another()
    ran: Counter[str] = Counter()

    def pack(order: int) -> str:
        ran["pack"] += 1
        return f"box {order}"

    def ship(*of: Any) -> None:
        ran[f"ship {of[-1]}"] += 1

    site.declare(ship, actor_name="ship", lease=500)
    packing = site.declare(pack, actor_name="pack", lease=500)
    message = packing.message(1).copy(options={"pipe_target": site.brokers[0].actors["ship"].message().asdict()})
    with site.working(), site.working(other):
        site.brokers[0].enqueue_many([message, message.copy(), message.copy()])
        until(lambda: site.counts["duplicate"] == 4, seconds=20, what="two copies of each")

    assert ran == {"pack": 1, "ship box 1": 1}
    assert site.left == (0, 0)
