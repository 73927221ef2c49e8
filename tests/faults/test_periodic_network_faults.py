"""The leader's network fails: nothing is enqueued twice, nothing is missed, and another leader goes on."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

import services
from services.deadline import until
from tests.faults.conftest import Schedule
from tests.faults.proxy import Proxy, proxy
from tests.faults.schedulers import Schedulers
from tests.faults.ticks import Plan

log = logging.getLogger(__name__)

PLAN = Plan(last=30, every_ms=100)
LONG = [pytest.mark.long, pytest.mark.timeout(900)]


def blackhole_12_s(network: Proxy) -> None:
    network.blackhole()
    time.sleep(12)  # the fault itself


def blackhole_1_s(network: Proxy) -> None:
    network.blackhole()
    time.sleep(1)  # the fault itself: too short for anybody to notice


def delay_half_a_second_for_5_s(network: Proxy) -> None:
    network.delay_s = 0.5
    time.sleep(5)  # the fault itself


def reset(network: Proxy) -> None:
    network.reset()


FAULTS = [blackhole_12_s, blackhole_1_s, delay_half_a_second_for_5_s, reset]


@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.__name__) for fault in FAULTS])
@pytest.mark.parametrize("times", [1, pytest.param(6, marks=LONG)])
def test_each_tick_is_enqueued_once_though_the_network_of_the_leader_fails(
    times: int, fault: Callable[[Proxy], None], rabbitmq_server: services.RabbitMQ, schedule: Schedule
) -> None:
    # Given a leader, and two that stand by, each with a network of its own
    schedulers = schedule(rabbitmq_server.url, PLAN)
    with proxy(rabbitmq_server.url) as one, proxy(rabbitmq_server.url) as two, proxy(rabbitmq_server.url) as three:
        networks = {schedulers.start(url=each.url): each for each in (one, two, three)}
        schedulers.wait_until_steady()
        began = []

        # When the leader's fails, and heals
        for _ in range(times):
            schedulers.wait_for_more()
            network = networks[schedulers.leader]
            began.append(datetime.now(UTC))
            fault(network)
            network.heal()
            schedulers.wait_until_steady()
        schedulers.wait_for_more()
        assert schedulers.stop() == [0, 0, 0]

    # Then each tick is there once
    enqueued, expected = schedulers.enqueued(), schedulers.expected()
    silences = [enqueued.silence_after(moment, within_s=10) for moment in began]
    log.info(
        "%s %d times, ticks %d, doubled %d, missed %d, longest silence %.1f s",
        fault.__name__,
        times,
        len(expected),
        enqueued.doubled,
        len(expected - enqueued.copies.keys()),
        max(silences).total_seconds(),
    )
    assert enqueued.copies.keys() == expected
    assert enqueued.doubled == 0
    assert schedulers.missed() == []
    assert max(silences) < timedelta(seconds=8)


@pytest.fixture(scope="module")
def impatient_rabbitmq() -> object:
    """A RabbitMQ whose consumer timeout is 3 s, where half an hour is usual."""
    with services.rabbitmq({"consumer_timeout": "3000"}) as server:
        server.evaluate("application:set_env(rabbit, channel_tick_interval, 500).")
        yield server


def lead_for(schedulers: Schedulers, seconds: float) -> tuple[int, int]:
    """Lead for so long; return how often it was begun, and how many copies there were."""
    replica = schedulers.start(skew_s=0, RENEW_EVERY_S="1" if seconds > 0 else "3600")
    until(lambda: replica.leads, seconds=20, what="a leader")
    schedulers.wait_for_more(abs(seconds))
    assert replica.stop() == 0
    enqueued = schedulers.enqueued()
    assert enqueued.copies.keys() == schedulers.expected()
    return replica.log().count("leads from"), enqueued.doubled


@pytest.mark.parametrize("queue_type", ["quorum", pytest.param("classic", marks=pytest.mark.long)])
def test_a_leader_that_leads_for_longer_than_the_consumer_timeout_leads_on(
    queue_type: str, impatient_rabbitmq: services.RabbitMQ, schedule: Schedule
) -> None:
    schedulers = schedule(impatient_rabbitmq.url, PLAN, queue_type)

    # More than an hour, were the timeout half an hour
    assert lead_for(schedulers, 9) == (1, 0)


@pytest.mark.parametrize("queue_type", ["quorum", pytest.param("classic", marks=pytest.mark.long)])
def test_a_leader_that_takes_no_fresh_baton_loses_it_and_even_then_misses_and_doubles_nothing(
    queue_type: str, impatient_rabbitmq: services.RabbitMQ, schedule: Schedule
) -> None:
    schedulers = schedule(impatient_rabbitmq.url, PLAN, queue_type)

    terms, doubled = lead_for(schedulers, -9)

    assert terms > 1
    assert doubled == 0
