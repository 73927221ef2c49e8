"""Schedulers killed and frozen, alone and with RabbitMQ: each tick is enqueued once, and executed once."""

import logging
import time
from datetime import UTC, datetime, timedelta
from statistics import median

import pytest

import services
from actors.brokers.topology import QueueType
from services.deadline import until
from tests.faults.conftest import Schedule
from tests.faults.schedulers import Enqueued, Schedulers
from tests.faults.ticks import Plan

log = logging.getLogger(__name__)

THOUSAND_A_SECOND = Plan(last=100, every_ms=100)
HUNDRED_A_SECOND = Plan(last=10, every_ms=100)

FAILOVER_AFTER_FREEZE = timedelta(seconds=8)

LONG = [pytest.mark.long, pytest.mark.timeout(900)]


def check(schedulers: Schedulers, faults: int, silences: list[timedelta], enqueued: Enqueued) -> None:
    expected = schedulers.expected()
    longest = sorted(silence.total_seconds() * 1000 for silence in silences) or [0]
    log.info(
        "faults %d, ticks %d, doubled %d, missed %d, failover %.0f / %.0f ms (p50, max)",
        faults,
        len(expected),
        enqueued.doubled,
        len(expected - enqueued.copies.keys()),
        median(longest),
        longest[-1],
    )
    assert enqueued.copies.keys() == expected
    assert all(len(ids) == 1 for ids in enqueued.ids.values())
    assert schedulers.missed() == []


# What is short of these is in tests/integration/pitfalls. A machine that is busy with other tests measures nothing.
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("queue_type", ["quorum", "classic"])
def test_p08_each_tick_is_enqueued_once_though_leaders_are_killed(
    queue_type: QueueType, rabbitmq_server: services.RabbitMQ, schedule: Schedule
) -> None:
    kills = 60
    schedulers = schedule(rabbitmq_server.url, THOUSAND_A_SECOND, queue_type)
    schedulers.start_all()

    killed = schedulers.kill_leaders(kills)
    schedulers.wait_until_steady()
    schedulers.wait_for_more()
    assert schedulers.stop() == [0, 0, 0]

    enqueued = schedulers.enqueued()
    silences = [enqueued.silence_after(moment, within_s=0.5) for moment in killed]
    check(schedulers, kills, silences, enqueued)
    assert enqueued.doubled == 0
    assert sorted(silences)[kills // 2] < timedelta(milliseconds=100)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_p09_a_leader_that_was_frozen_publishes_nothing_when_it_wakes_up(
    rabbitmq_server: services.RabbitMQ, schedule: Schedule
) -> None:
    freezes, seconds = 5, 20
    schedulers = schedule(rabbitmq_server.url, THOUSAND_A_SECOND)
    schedulers.start_all()
    frozen_at = []

    for _ in range(freezes):
        schedulers.wait_for_more()
        leader = schedulers.leader
        frozen_at.append(datetime.now(UTC))
        leader.freeze()
        time.sleep(seconds)  # the fault itself
        leader.thaw()
        until(lambda leader=leader: leader.is_standing_by, seconds=20, what="the old leader to stand by")  # type: ignore[misc]
    schedulers.wait_for_more()
    assert schedulers.stop() == [0, 0, 0]

    enqueued = schedulers.enqueued()
    silences = [enqueued.silence_after(moment, within_s=seconds) for moment in frozen_at]
    check(schedulers, freezes, silences, enqueued)
    assert enqueued.doubled == 0
    assert max(silences) < FAILOVER_AFTER_FREEZE


@pytest.mark.parametrize(
    ("kills", "queue_type"),
    [
        pytest.param(2, "quorum", id="2-kills-quorum"),
        pytest.param(8, "quorum", id="8-kills-quorum", marks=LONG),
        pytest.param(8, "classic", id="8-kills-classic", marks=LONG),
    ],
)
def test_each_tick_is_enqueued_though_rabbitmq_is_killed_alone_and_with_the_leader(
    kills: int, queue_type: QueueType, private_rabbitmq: services.RabbitMQ, schedule: Schedule
) -> None:
    schedulers = schedule(private_rabbitmq.url, HUNDRED_A_SECOND, queue_type)
    schedulers.start_all()
    time.sleep(2)  # RabbitMQ 3.10 forgets a quorum queue when it is killed in the queue's first second

    for number in range(kills):
        schedulers.wait_until_steady()
        schedulers.wait_for_more()
        leader = schedulers.leader
        private_rabbitmq.kill()
        if number % 2:
            leader.kill()
            schedulers.start()
        private_rabbitmq.start()
    schedulers.wait_until_steady()
    schedulers.wait_for_more()
    assert schedulers.stop() == [0, 0, 0]

    enqueued = schedulers.enqueued()
    check(schedulers, kills, [], enqueued)
    assert enqueued.doubled <= kills


@pytest.mark.parametrize(("kills", "apart_s"), [(2, 5), pytest.param(4, 90, marks=LONG)])
def test_p14_clocks_that_differ_move_ticks_and_never_their_count(
    kills: int, apart_s: int, rabbitmq_server: services.RabbitMQ, schedule: Schedule
) -> None:
    schedulers = schedule(rabbitmq_server.url, HUNDRED_A_SECOND)
    skews = [0, apart_s, 0]
    for skew_s in skews:
        schedulers.start(skew_s=skew_s)
    schedulers.wait_until_steady()

    for number in range(kills):
        schedulers.wait_until_steady()
        # A clock that is behind has to come to where the one before has got.
        schedulers.wait_for_more(0.3, within_s=apart_s + 60)
        schedulers.leader.kill()
        schedulers.start(skew_s=skews[number % 3])
    schedulers.wait_until_steady()
    schedulers.wait_for_more(0.3, within_s=apart_s + 60)
    schedulers.stop()

    enqueued = schedulers.enqueued()
    check(schedulers, kills, [], enqueued)
    assert enqueued.doubled == 0


@pytest.mark.parametrize("deploys", [2, pytest.param(12, marks=LONG)])
def test_rolling_deploys_of_different_code_miss_and_double_nothing(
    deploys: int, rabbitmq_server: services.RabbitMQ, schedule: Schedule
) -> None:
    versions = [Plan(0, 60, argument="one"), Plan(20, 80, argument="two")]
    common = {f"s{number:05}" for number in range(20, 60)}
    schedulers = schedule(rabbitmq_server.url, versions[0])
    schedulers.start_all()

    for number in range(deploys):
        schedulers.plan = versions[(number + 1) % 2]
        for old in [each for each in schedulers.replicas if each.runs]:
            schedulers.start()
            schedulers.wait_until_steady(4)
            # As deployments go: most are asked to go, some are lost.
            old.kill() if number % 2 else old.stop()
            schedulers.wait_until_steady()
    schedulers.wait_for_more()
    schedulers.stop()

    enqueued = schedulers.enqueued()
    expected = schedulers.expected(common)
    always = {key for key in enqueued.copies if key[0] in common}
    log.info(
        "deploys %d, ticks %d, doubled %d, missed %d",
        deploys,
        len(enqueued.copies),
        enqueued.doubled,
        len(expected - always),
    )
    assert always == expected
    assert enqueued.doubled == 0
    assert schedulers.missed() == []


@pytest.mark.parametrize("faults", [2, pytest.param(8, marks=LONG)])
def test_each_tick_is_executed_once_whatever_befalls_schedulers_and_rabbitmq(
    faults: int, private_rabbitmq: services.RabbitMQ, schedule: Schedule
) -> None:
    schedulers = schedule(private_rabbitmq.url, HUNDRED_A_SECOND)
    schedulers.start_worker()
    schedulers.start_all()
    time.sleep(2)  # RabbitMQ 3.10 forgets a quorum queue when it is killed in the queue's first second

    for number in range(faults):
        schedulers.wait_until_steady()
        schedulers.wait_for_more()
        leader = schedulers.leader
        if number % 2:
            private_rabbitmq.kill()
        leader.kill()
        schedulers.start()
        private_rabbitmq.start()
    schedulers.wait_until_steady()
    schedulers.wait_for_more()
    schedulers.stop()

    expected = schedulers.expected()
    until(lambda: schedulers.executed().keys() >= expected, seconds=30, what="every tick")
    time.sleep(2)  # a copy that found its key held looks again within a lease
    executed = schedulers.executed()
    log.info("faults %d, executed %d, twice %d", faults, len(executed), executed.total() - len(executed))
    assert executed.keys() == expected
    assert executed.total() == len(executed)
