"""Redis restarted, frozen, absent and flushed under workers."""

import logging
import time

import pytest

import services
from middleware.keys import digest
from middleware.stores import State
from services.deadline import until
from tests.faults.conftest import Deploy
from tests.faults.deployment import Deployment

log = logging.getLogger(__name__)


@pytest.mark.long
@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_nothing_is_done_twice_when_redis_restarts_with_its_data(
    verb: str, rabbitmq_server: services.RabbitMQ, private_redis: services.Redis, deploy: Deploy
) -> None:
    # Given two workers in the midst of short jobs and long ones
    site = deploy(rabbitmq_server.url, private_redis.url, lease_ms=2_000)
    site.start(2)
    keys = _send_short_and_long(site)

    # When Redis restarts
    getattr(private_redis, verb)()
    private_redis.start()
    back = time.monotonic()
    site.wait_for(keys, seconds=20)
    done_s = time.monotonic() - back
    site.stop()

    # Then all is done once, and recorded
    _report(site, f"redis {verb}", done_s)
    _assert_all_done_once(site, keys)
    assert site.open_records() == []


@pytest.mark.long
@pytest.mark.parametrize("lease_ms", [pytest.param(5_000, id="longer-lease"), pytest.param(1_000, id="shorter-lease")])
def test_nothing_is_done_twice_when_redis_is_frozen_for_three_seconds(
    lease_ms: int, rabbitmq_server: services.RabbitMQ, private_redis: services.Redis, deploy: Deploy
) -> None:
    # Given two workers in the midst of short jobs and long ones
    site = deploy(rabbitmq_server.url, private_redis.url, lease_ms=lease_ms)
    site.start(2)
    keys = _send_short_and_long(site)

    # When Redis does not answer for three seconds
    private_redis.freeze()
    time.sleep(3)  # the fault itself
    private_redis.thaw()
    back = time.monotonic()
    site.wait_for(keys, seconds=20)
    done_s = time.monotonic() - back
    site.stop()

    # Then all is done once; what had ended could be recorded as long as its lease had not
    _report(site, "redis frozen", done_s)
    _assert_all_done_once(site, keys)
    unrecorded = site.said("unrecorded")
    assert {record.owner for record in site.open_records()} <= set(unrecorded)
    assert {record.state for record in site.open_records()} <= {State.RUNNING}
    assert lease_ms < 3_000 or not unrecorded


def test_while_redis_is_gone_nothing_runs_or_is_cycled_and_work_goes_on_when_it_is_back(
    rabbitmq_server: services.RabbitMQ, private_redis: services.Redis, deploy: Deploy
) -> None:
    # Given a worker that has been at work, and loses Redis
    site = deploy(rabbitmq_server.url, private_redis.url, lease_ms=1_000, queue_type="classic")
    site.start()
    site.send("once_count", ["before"])
    site.wait_for(["before"], seconds=10)
    until(lambda: not site.open_records(), seconds=5, what="its record")
    private_redis.stop()

    # When messages arrive
    keys = [f"key-{number}" for number in range(50)]
    site.send("once_count", keys)

    # Then they stay where they are, delivered once and unacked
    seen = []
    until(lambda: site.unacked(rabbitmq_server), seconds=5, what="their delivery")
    gone = time.monotonic()
    while time.monotonic() - gone < 4:
        seen.append((site.unacked(rabbitmq_server), site.ready()))
    assert len(site.effects.runs()) == 1
    assert seen == [({site.work_queue: 50}, {})] * len(seen)

    # And when Redis is back they run, each once
    private_redis.start()
    back = time.monotonic()
    until(lambda: len(site.effects.runs()) > 1, seconds=5, what="the first of them")
    first_s = time.monotonic() - back
    site.wait_for(["before", *keys], seconds=10)
    _report(site, f"redis gone, first run {first_s:.1f} s after its return", time.monotonic() - back)
    site.stop()
    _assert_all_done_once(site, ["before", *keys])
    assert not any(run.redelivered for run in site.effects.runs())
    assert site.said("later").total() == 0
    assert site.open_records() == []


def test_when_redis_is_flushed_what_runs_is_remembered_and_what_is_done_is_forgotten(
    rabbitmq_server: services.RabbitMQ, private_redis: services.Redis, deploy: Deploy
) -> None:
    # Given work that is done, and work in progress
    site = deploy(rabbitmq_server.url, private_redis.url, lease_ms=600)
    site.start()
    done = site.send("once_count", [f"done-{number}" for number in range(20)])
    site.wait_for([message.args[0] for message in done], seconds=10)
    running = site.send("once_count", [f"running-{number}" for number in range(8)], pause_ms=2_000)
    until(lambda: len(site.open_records()) == 8, seconds=5, what="its claims")
    until(lambda: len(site.effects.runs()) == 28, seconds=5, what="its start")

    # When Redis loses everything
    site.flush_store()
    assert site.open_records() == []

    # Then what runs has its record back with the next renewal, and copies of it do not run
    until(lambda: len(site.open_records()) == 8, seconds=site.lease_s, what="the records of what runs")
    assert {(record.state, record.owner) for record in site.open_records()} == {
        (State.RUNNING, message.message_id) for message in running
    }
    for message in running:
        site.broker.enqueue(message)
    site.wait_for([message.args[0] for message in running], seconds=5)
    until(lambda: site.said("duplicate").total() == 8, seconds=5, what="the end of its copies")

    # And copies of what was done before run once more, with higher fences
    for message in [*done, *done]:
        site.broker.enqueue(message)
    until(lambda: site.said("duplicate").total() == 28, seconds=5, what="the end of half the copies")
    site.stop()
    runs = site.effects.by_key()
    highest = max(run.fence for message in running for run in runs[message.args[0]])
    log.info(
        "redis flushed: sent 28, copies of what ran 8, of what was done 40; run %d, maybe_ran %d",
        len(site.effects.runs()),
        sum(run.maybe_ran for run in site.effects.runs()),
    )
    assert [len(runs[message.args[0]]) for message in running] == [1] * 8
    assert [len(runs[message.args[0]]) for message in done] == [2] * 20
    assert all(runs[message.args[0]][1].fence > highest for message in done)
    assert not any(run.maybe_ran for run in site.effects.runs())
    for message in [*running, *done]:
        record = site.store.inspect(digest("once_count", message.message_id))
        assert record is not None
        assert (record.state, record.fence) == (State.DONE, runs[message.args[0]][-1].fence)
    assert site.open_records() == []
    assert site.left() == {}


def _send_short_and_long(site: Deployment) -> list[str]:
    """Send work, and return its keys once a part of it is done."""
    long = [f"long-{number}" for number in range(6)]
    short = [f"short-{number}" for number in range(1_000)]
    site.send("once_count", long, pause_ms=4_000)
    site.send("once_count", short, pause_ms=10)
    until(lambda: len(site.effects.done()) > 100, seconds=10, what="a part of the jobs")
    return [*long, *short]


def _report(site: Deployment, fault: str, done_s: float) -> None:
    runs = site.effects.runs()
    log.info(
        "%s: run %d, run again %d, maybe_ran %d, unrecorded %d, of them open %d; all done %.1f s after its return",
        fault,
        len(runs),
        len(runs) - len(site.effects.by_key()),
        sum(run.maybe_ran for run in runs),
        site.said("unrecorded").total(),
        len(site.open_records()),
        done_s,
    )


def _assert_all_done_once(site: Deployment, keys: list[str]) -> None:
    runs = site.effects.runs()
    assert sorted(run.key for run in runs) == sorted(keys)
    assert all(run.ended for run in runs)
    assert not any(run.maybe_ran for run in runs)
    assert site.left() == {}
