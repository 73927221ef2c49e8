"""Workers killed in the middle of attempts that hold a seat."""

from itertools import pairwise

import services
from services.deadline import until
from tests.faults import limited
from tests.faults.conftest import Deploy

KEYS = [f"k{number}" for number in range(6)]
# A lease that was renewed just before its worker was killed is over this much later, and one that was about to be
# renewed after two thirds of that.
LEASE_S = 1.5


def test_a_killed_worker_frees_its_seat_after_one_lease_and_no_run_is_beside_another(
    rabbitmq_server: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    # Given two workers, of which one is killed while it runs
    site = deploy(rabbitmq_server.url, redis_url, lease_ms=int(LEASE_S * 1000), module=limited)
    site.start(2)
    site.send("limited_work", KEYS, pause_ms=300)
    [first] = until(lambda: [run for run in site.effects.runs() if run.ended is None], seconds=20, what="a run")
    site.kill(next(worker for worker in site.workers if worker.group == first.worker))
    [killed] = site.killed.values()

    # Then the other runs what is left, each once
    site.wait_for(KEYS, seconds=30)
    site.stop()
    runs = sorted(site.effects.runs(), key=lambda run: run.began)
    cut_off = [run for run in runs if run.ended is None]
    assert {run.worker for run in cut_off} == site.killed.keys()
    assert {key: len(each) for key, each in site.effects.by_key().items()} == {
        key: 1 + sum(run.key == key for run in cut_off) for key in KEYS
    }
    assert site.left() == {}

    # One at a time, and the next as soon as the lease of the lost one was over
    assert all((earlier.ended or killed) <= later.began for earlier, later in pairwise(runs))
    following = next(run.began for run in runs if run.began > killed)
    assert LEASE_S / 2 < following - killed < LEASE_S + 5
