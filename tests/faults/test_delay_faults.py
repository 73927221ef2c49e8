"""Delayed messages while workers, the relays in them and RabbitMQ are killed: none is lost, early or done twice."""

import logging
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

import services
from actors.brokers.topology import QueueType
from services.deadline import until
from tests.faults.conftest import Deploy
from tests.faults.deployment import Deployment

log = logging.getLogger(__name__)

LEASE_MS = 2_000
# RabbitMQ 3.10 forgets a quorum queue when it is killed in the queue's first second.
QUEUES_SURVIVE_AFTER_S = 2

Fault = Callable[[Deployment, services.RabbitMQ], None]


def kill_a_worker(site: Deployment, server: services.RabbitMQ) -> None:
    site.start_one()
    site.kill(random.choice(site.warm()))


def kill_all_workers(site: Deployment, server: services.RabbitMQ) -> None:
    for worker in site.running():
        site.kill(worker)
    site.start(2)


def kill_rabbitmq(site: Deployment, server: services.RabbitMQ) -> None:
    server.kill()
    server.start()


def kill_all_workers_and_rabbitmq(site: Deployment, server: services.RabbitMQ) -> None:
    _kill_all(site, server)
    _start_all(site, server)


EIGHT_TIMES = [
    pytest.param([fault] * 8, 5_000, 40, id=f"5000-messages-{name}", marks=[pytest.mark.long, pytest.mark.timeout(600)])
    for fault, name in [
        (kill_a_worker, "a-worker"),
        (kill_all_workers, "all-workers"),
        (kill_rabbitmq, "rabbitmq"),
        (kill_all_workers_and_rabbitmq, "both"),
    ]
]


@pytest.mark.parametrize(
    ("faults", "messages", "latest_s"),
    [pytest.param([kill_a_worker, kill_all_workers_and_rabbitmq], 300, 5, id="300-messages"), *EIGHT_TIMES],
)
def test_delayed_messages_are_done_once_and_never_early_whatever_is_killed_meanwhile(
    faults: Sequence[Fault],
    messages: int,
    latest_s: int,
    private_rabbitmq: services.RabbitMQ,
    redis_url: str,
    deploy: Deploy,
) -> None:
    # Given messages that are due one after the other
    site = _start(deploy, private_rabbitmq, redis_url)
    due = _send_delayed(site, messages, soonest_s=QUEUES_SURVIVE_AFTER_S, latest_s=latest_s)

    # When something is killed, again and again, while some have run and others are not due
    for number, fault in enumerate(faults, start=1):
        part = messages * number // (len(faults) + 1)
        until(partial(_are_done, site, part), seconds=60, what=f"{part} messages")
        fault(site, private_rabbitmq)

    # Then all are done once, and none before its time
    _assert_all_done_once(site, due)


@pytest.mark.parametrize(
    ("messages", "soonest_s", "queue_type"),
    [
        pytest.param(300, 4, "classic", id="300-messages-classic"),
        pytest.param(5_000, 15, "quorum", id="5000-messages", marks=[pytest.mark.long, pytest.mark.timeout(600)]),
        pytest.param(
            5_000, 15, "classic", id="5000-messages-classic", marks=[pytest.mark.long, pytest.mark.timeout(600)]
        ),
    ],
)
def test_delayed_messages_that_become_due_while_all_is_down_are_done_once_when_all_is_back(
    messages: int,
    soonest_s: int,
    queue_type: QueueType,
    private_rabbitmq: services.RabbitMQ,
    redis_url: str,
    deploy: Deploy,
) -> None:
    # Given messages, of which none is due yet
    site = _start(deploy, private_rabbitmq, redis_url, queue_type)
    began = time.monotonic()
    due = _send_delayed(site, messages, soonest_s=soonest_s, latest_s=soonest_s + 1)
    time.sleep(max(0.0, began + QUEUES_SURVIVE_AFTER_S - time.monotonic()))

    # When workers and RabbitMQ are killed, and come back once the last is due
    _kill_all(site, private_rabbitmq)
    assert site.effects.done() == {"first"}
    until(lambda: _now() > max(due.values()), seconds=soonest_s + 1, what="the last to be due")
    _start_all(site, private_rabbitmq)
    back = time.monotonic()
    site.wait_for(due, seconds=60)
    log.info("all done %.1f s after their return", time.monotonic() - back)

    # Then all are done once
    _assert_all_done_once(site, due)


def _kill_all(site: Deployment, server: services.RabbitMQ) -> None:
    for worker in site.running():
        site.kill(worker)
    server.kill()


def _start_all(site: Deployment, server: services.RabbitMQ) -> None:
    """Start RabbitMQ and two workers at once, as a machine does that has lost its power."""
    workers = [site.start_one(), site.start_one()]
    server.start()
    for worker in workers:
        worker.wait_until_ready()


def _are_done(site: Deployment, count: int) -> bool:
    return len(site.effects.done()) > count


def _start(deploy: Deploy, server: services.RabbitMQ, redis_url: str, queue_type: QueueType = "quorum") -> Deployment:
    """Start two workers, and make all hold queues exist."""
    site = deploy(server.url, redis_url, lease_ms=LEASE_MS, queue_type=queue_type)
    site.start(2)
    site.broker.enqueue(site.broker.get_actor("once_count").message("first"), delay=200)
    site.wait_for(["first"], seconds=20)
    return site


def _send_delayed(site: Deployment, messages: int, *, soonest_s: int, latest_s: int) -> dict[str, int]:
    """Send *messages* with random delays; return when each key is due, in milliseconds since the Unix epoch."""
    actor = site.broker.get_actor("once_count")

    def send(key: str) -> int:
        delay_ms = random.randint(soonest_s * 1_000, latest_s * 1_000)
        due = _now() + delay_ms
        site.broker.enqueue(actor.message(key), delay=delay_ms)
        return due

    keys = [f"key-{number}" for number in range(messages)]
    with ThreadPoolExecutor(8) as senders:
        return dict(zip(keys, senders.map(send, keys), strict=True))


def _assert_all_done_once(site: Deployment, due: dict[str, int]) -> None:
    site.wait_for(due, seconds=60)
    time.sleep(site.lease_s + 0.5)  # a copy that found its key held looks again within a lease
    site.stop()
    runs = [run for run in site.effects.runs() if run.key != "first"]
    late_ms = sorted(run.began * 1_000 - due[run.key] for run in runs)
    log.info(
        "sent %d, done %d, run %d, cut off %d, run again %d, maybe_ran %d, early %d; copies that did not run %d, "
        "workers killed %d; late by %.0f to %.0f ms",
        len(due),
        len(site.effects.done()) - 1,
        len(runs),
        sum(run.ended is None for run in runs),
        len(runs) - len(due),
        sum(run.maybe_ran for run in runs),
        sum(late < 0 for late in late_ms),
        site.said("duplicate").total(),
        len(site.killed),
        late_ms[0],
        late_ms[-1],
    )
    assert site.effects.done() == {"first", *due}
    assert site.effects.wrong(killed=site.killed) == []
    assert late_ms[0] >= 0
    assert site.open_records() == []
    assert site.left() == {}


def _now() -> int:
    return time.time_ns() // 1_000_000
