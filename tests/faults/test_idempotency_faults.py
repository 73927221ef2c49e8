"""Workers killed and replaced, RabbitMQ restarted: the work of each key is done once."""

import logging
import time

import pytest

import services
from middleware.keys import digest
from middleware.stores import State
from services.deadline import until
from tests.faults.conftest import Deploy
from tests.faults.deployment import WARM_WORKERS
from tests.faults.once import ATTEMPTS

log = logging.getLogger(__name__)


@pytest.mark.parametrize(
    ("kills", "messages"),
    [
        pytest.param(8, 400, id="8-kills"),
        pytest.param(200, 5_000, id="200-kills", marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
)
def test_every_key_is_done_once_though_workers_are_killed_at_random_instants(
    kills: int, messages: int, rabbitmq_server: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    # Given warm workers, and messages that come in bursts
    site = deploy(rabbitmq_server.url, redis_url, lease_ms=2_000)
    site.start(WARM_WORKERS)
    keys = [f"key-{number}" for number in range(messages)]
    began = time.monotonic()

    # When one of the workers is killed around each burst
    site.kill_around_bursts("once_count", keys, kills, within_s=0.06)

    # Then what was lost is done again one lease later, and all else is done once
    last_kill = time.monotonic()
    until(
        lambda: (left := set(keys) - site.effects.done()) <= (site.poison() if len(left) < 10 else set()),
        seconds=site.lease_s + 5,
        what="all keys after the last kill",
    )
    settled_s = time.monotonic() - last_kill
    time.sleep(site.lease_s + 0.5)  # a copy that found its key held looks again within a lease
    site.stop()
    poison = site.poison()
    runs = site.effects.runs()
    again = len(runs) - len(site.effects.by_key())
    log.info(
        "sent %d, done %d, run %d, cut off %d, run again %d, maybe_ran %d, poison %d, kills %d, in %.0f s; "
        "settled in %.1f s",
        messages,
        len(site.effects.done()),
        len(runs),
        sum(run.ended is None for run in runs),
        again,
        sum(run.maybe_ran for run in runs),
        len(poison),
        len(site.killed),
        time.monotonic() - began,
        settled_s,
    )
    assert site.effects.wrong(killed=site.killed, poison=poison) == []
    assert site.effects.done() | poison == set(keys)
    assert site.left() == ({site.dead_queue: len(poison)} if poison else {})
    assert {record.state for record in site.open_records()} <= {State.FAILED}
    assert len(site.open_records()) == len(poison)
    assert len(site.killed) == kills


@pytest.mark.parametrize(
    ("kills", "messages"),
    [
        pytest.param(8, 200, id="8-kills", marks=pytest.mark.long),
        pytest.param(60, 1_200, id="60-kills", marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
)
def test_each_attempt_is_made_once_though_workers_are_killed_between_them(
    kills: int, messages: int, rabbitmq_server: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    # Given messages that fail twice before they succeed
    site = deploy(rabbitmq_server.url, redis_url, lease_ms=2_000)
    site.start(WARM_WORKERS)
    keys = [f"key-{number}" for number in range(messages)]

    # When workers are killed while they run, fail and are sent again
    site.kill_around_bursts("once_stumble", keys, kills, within_s=0.4)
    attempts = {f"{key}#{number}" for key in keys for number in range(1, ATTEMPTS + 1)}
    site.wait_for(attempts, seconds=site.lease_s + 10)
    time.sleep(site.lease_s + 0.5)  # a copy that found its key held looks again within a lease
    site.stop()

    # Then no attempt is left out, and none is made again unless its worker was killed before it could say so
    runs = site.effects.runs()
    log.info(
        "sent %d, attempts %d, run %d, cut off %d, maybe_ran %d, kills %d",
        messages,
        len(attempts),
        len(runs),
        sum(run.ended is None for run in runs),
        sum(run.maybe_ran for run in runs),
        len(site.killed),
    )
    assert site.effects.by_key().keys() == attempts
    assert site.effects.wrong(killed=site.killed) == []
    assert site.open_records() == []
    assert site.left() == {}


def test_a_rolling_restart_repeats_nothing_and_waits_for_no_lease(
    rabbitmq_server: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    # Given two busy workers with leases far longer than this test
    site = deploy(rabbitmq_server.url, redis_url, lease_ms=60_000)
    site.start(2)
    keys = [f"key-{number}" for number in range(1_500)]
    batches = [keys[start : start + 500] for start in range(0, len(keys), 500)]
    took_s = []
    for batch in batches:
        successors = [site.start_one(), site.start_one()]
        for successor in successors:
            successor.wait_until_ready()
        old = site.workers[-4:-2]
        site.send("once_count", batch, pause_ms=20)

        # When both are replaced in the midst of their work
        for worker in old:
            worker.terminate()
        began = time.monotonic()
        for worker in old:
            worker.wait()
        site.wait_for(batch, seconds=10)
        took_s.append(time.monotonic() - began)
    site.stop()

    # Then all is done once, at once
    runs = site.effects.runs()
    log.info(
        "sent %d, run %d, maybe_ran %d, rounds %d, each done within %.1f s of a lease of %.0f s",
        len(keys),
        len(runs),
        sum(run.maybe_ran for run in runs),
        len(batches),
        max(took_s),
        site.lease_s,
    )
    assert sorted(run.key for run in runs) == sorted(keys)
    assert not any(run.maybe_ran for run in runs)
    assert site.effects.wrong(killed={}) == []
    assert site.open_records() == []
    assert site.left() == {}
    assert len({run.worker for run in runs}) > 2 + len(batches)


@pytest.mark.parametrize(
    "verb",
    ["stop", pytest.param("kill", marks=pytest.mark.long), pytest.param("freeze", marks=pytest.mark.long)],
)
def test_nothing_is_done_twice_when_rabbitmq_restarts_in_the_midst_of_it(
    verb: str, private_rabbitmq: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    # Given two workers in the midst of short jobs, and long ones that will outlive their channels
    site = deploy(private_rabbitmq.url, redis_url, lease_ms=2_000, ACTORS_BROKER_HEARTBEAT_S="1")
    site.start(2)
    site.send("once_count", ["first"])
    site.wait_for(["first"], seconds=10)
    time.sleep(2)  # RabbitMQ 3.10 forgets a quorum queue when it is killed in the queue's first second
    long = [f"long-{number}" for number in range(6)]
    short = [f"short-{number}" for number in range(1_000)]
    site.send("once_count", long, pause_ms=3_000)
    site.send("once_count", short, pause_ms=10)
    until(lambda: len(site.effects.done()) > 100, seconds=10, what="a part of the jobs")

    # When RabbitMQ goes away and comes back
    getattr(private_rabbitmq, verb)()
    if verb == "freeze":
        time.sleep(14)  # the fault itself: longer than workers bear its silence
        private_rabbitmq.thaw()
    private_rabbitmq.start()
    back = time.monotonic()
    site.wait_for(["first", *long, *short], seconds=20)
    done_s = time.monotonic() - back
    time.sleep(site.lease_s + 0.5)  # a copy that found its key held looks again within a lease
    site.stop()

    # Then all is done once: the outcomes that no channel was there for have been recorded
    runs = site.effects.runs()
    log.info(
        "sent %d, run %d, maybe_ran %d, copies %d; all done %.1f s after its return",
        1 + len(long) + len(short),
        len(runs),
        sum(run.maybe_ran for run in runs),
        site.said("duplicate").total(),
        done_s,
    )
    assert sorted(run.key for run in runs) == sorted(["first", *long, *short])
    assert not any(run.maybe_ran for run in runs)
    assert site.open_records() == []
    assert site.left() == {}


@pytest.mark.long
def test_a_message_that_may_have_run_is_told_so_also_after_rabbitmq_has_restarted(
    private_rabbitmq: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    # Given a message whose worker was killed in its midst, and that waits for a thread of the next worker
    site = deploy(private_rabbitmq.url, redis_url, lease_ms=500)
    site.start(2)
    (message,) = site.send("once_count", ["twice"], pause_ms=1_000)
    (run,) = until(site.effects.runs, seconds=10, what="its start")
    site.kill(next(worker for worker in site.workers if worker.group == run.worker))
    busy = [f"busy-{number}" for number in range(8)]
    site.send("once_count", busy, pause_ms=3_000)
    name = digest("once_count", message.message_id)
    until(
        lambda: (record := site.store.inspect(name)) and (record.state, record.lost) == (State.RUNNING, 1),
        seconds=5,
        what="its takeover",
    )

    # When RabbitMQ is away until the threads are free
    private_rabbitmq.stop()
    site.wait_for(busy, seconds=10)
    private_rabbitmq.start()
    site.wait_for(["twice"], seconds=10)
    site.stop()

    # Then its second run knows of the first
    runs = site.effects.by_key()
    log.info(
        "sent 9, run %d, kills 1, maybe_ran %d", len(site.effects.runs()), sum(run.maybe_ran for run in runs["twice"])
    )
    assert [run.maybe_ran for run in runs["twice"]] == [False, True]
    assert site.effects.wrong(killed=site.killed) == []
    assert site.open_records() == []
    assert site.left() == {}
