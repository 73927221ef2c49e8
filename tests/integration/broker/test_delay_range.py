"""From a millisecond to a year, and whatever the clocks and the downtime."""

import time
from typing import Any

import dramatiq
import pytest
from pika import BasicProperties

from actors.brokers.delays import PREFETCH
from actors.brokers.hold import Hold, now_ms
from actors.brokers.topology import HOLDS_MS
from services.deadline import until
from tests.integration.broker.conftest import Declare, MakeBroker, RunWorker

DAY_MS = 86_400_000


@pytest.mark.parametrize("delay_ms", [1, 99, 100, 101])
def test_the_shortest_delays_are_not_early(
    make_broker: MakeBroker, declare: Declare, run_worker: RunWorker, delay_ms: int
) -> None:
    broker = make_broker()
    ran: list[float] = []
    job = declare(broker, lambda: ran.append(time.time()), actor_name="job")
    run_worker(broker)
    due = time.time() + delay_ms / 1000
    job.send_with_options(delay=delay_ms)
    until(lambda: ran, seconds=10, what="its run")
    assert ran[0] >= due


@pytest.mark.parametrize("days", [365, 366])
def test_a_year_waits_in_the_longest_hold(
    make_broker: MakeBroker, declare: Declare, channel: Any, days: int, queue_type: str
) -> None:
    broker = make_broker(queue_type=queue_type)
    before = now_ms()
    declare(broker, lambda: None, actor_name="job").send_with_options(delay=days * DAY_MS)
    queue = broker.engine.options.topology.hold(HOLDS_MS[-1])
    _, properties, _ = channel.basic_get(queue.name, auto_ack=True)
    assert before + days * DAY_MS <= properties.headers["due"] <= now_ms() + days * DAY_MS
    assert before + HOLDS_MS[-1] <= properties.headers["look"] <= now_ms() + HOLDS_MS[-1]


def test_what_became_due_while_no_relay_ran_runs_when_one_comes_back(
    make_broker: MakeBroker, declare: Declare, run_worker: RunWorker, queue_type: str
) -> None:
    broker = make_broker(queue_type=queue_type)
    ran: list[int] = []
    job = declare(broker, ran.append, actor_name="job")
    for number in range(100):  # in several hold queues; more of them than a relay keeps
        job.send_with_options(args=(number,), delay=3_000 - 20 * number)
    due = now_ms() + 3_000
    until(lambda: now_ms() > due, seconds=10, what="all of them are due")
    run_worker(broker)
    until(lambda: len(ran) == 100, seconds=10, what="all of them")
    assert sorted(ran) == list(range(100))


def test_a_sender_whose_clock_is_ahead_holds_nobody_up(
    make_broker: MakeBroker,
    declare: Declare,
    run_worker: RunWorker,
    channel: Any,
    queue_type: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actors.brokers.delays.COUNT_EVERY_S", 3_600)  # what a relay does then would help, too
    broker = make_broker(queue_type=queue_type)
    ran: list[str] = []
    job = declare(broker, ran.append, actor_name="job")
    broker.engine.declarations.holds()
    # More of them than a relay keeps, in the queues that the next message goes through.
    for hold_ms in (100, 200, 400):
        for number in range(PREFETCH + 8):
            look_ms = 2**62 if number % 2 else now_ms() + 100 * 365 * DAY_MS
            message: dramatiq.Message[None] = job.message("in a century")
            hold = Hold(hold_ms, look_ms, look_ms, "default")
            publication = hold.publication(message.encode(), BasicProperties(message_id=message.message_id), "")
            queue = broker.engine.declarations.hold(hold_ms).name
            channel.basic_publish("", queue, publication.body, publication.properties)
    job.send_with_options(args=("soon",), delay=700)
    run_worker(broker)
    until(lambda: ran == ["soon"], seconds=20, what="the message behind them")
