"""Dead letters are replayed while the replayer and RabbitMQ are killed: none is lost, and none runs twice."""

import logging
import os
import random
import time
from functools import partial
from pathlib import Path

import pytest

import services
from actors.brokers.topology import QueueType
from services.deadline import until
from tests.faults.conftest import Deploy
from tests.faults.deployment import Deployment
from tests.warm import warm

log = logging.getLogger(__name__)

# RabbitMQ 3.10 forgets a quorum queue when it is killed in the queue's first second.
QUEUES_SURVIVE_AFTER_S = 2
RATE = 400

PROGRAM = f"""
from actors.dead_letters import ALL, Terms, dead_letters
from tests.faults import once

def go_on(so_far):
    if so_far.replayed:
        print("began", flush=True)
    return True

dead_letters("default").replay(ALL, Terms(rate={RATE}, go_on=go_on))
"""


class Replayer:
    """A process that replays all dead letters, and can be killed."""

    def __init__(self, site: Deployment, log_file: Path) -> None:
        self._log_file = log_file
        self._process = warm().start("-c", PROGRAM, env={**os.environ, **site._env}, log=log_file)

    def has_begun(self) -> bool:
        return b"began" in self._log_file.read_bytes() or self.has_ended()

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def status(self) -> int:
        return self._process.wait(60)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.mark.parametrize(
    ("letters", "kills", "restarts", "queue_type"),
    [
        pytest.param(400, 2, 1, "quorum", id="400-letters"),
        pytest.param(400, 2, 1, "classic", id="400-letters-classic", marks=pytest.mark.long),
        *[
            pytest.param(
                3_000, 12, 2, kind, id=f"3000-letters-{kind}", marks=[pytest.mark.long, pytest.mark.timeout(900)]
            )
            for kind in ("quorum", "classic")
        ],
    ],
)
def test_a_replay_loses_nothing_and_runs_nothing_twice_whatever_is_killed_meanwhile(
    letters: int,
    kills: int,
    restarts: int,
    queue_type: QueueType,
    private_rabbitmq: services.RabbitMQ,
    redis_url: str,
    deploy: Deploy,
    tmp_path: Path,
) -> None:
    # Given messages that have all failed for good
    site = deploy(private_rabbitmq.url, redis_url, lease_ms=2_000, queue_type=queue_type)
    site.start(2)
    keys = [f"key-{number}" for number in range(letters)]
    site.send("once_second", keys)
    until(lambda: site.ready().get(site.dead_queue) == letters, seconds=60, what="all letters")
    time.sleep(QUEUES_SURVIVE_AFTER_S)

    # When they are replayed, and the replayer is killed again and again, RabbitMQ now and then
    faults = ["replayer"] * kills + ["rabbitmq"] * restarts
    random.shuffle(faults)
    pause_s = letters / RATE / len(faults)
    for number, fault in enumerate(faults):
        replayer = Replayer(site, tmp_path / f"replayer-{number}")
        until(replayer.has_begun, seconds=60, what="a replay")
        time.sleep(random.uniform(0, pause_s))
        if fault == "replayer":
            replayer.kill()
        else:
            private_rabbitmq.kill()
            private_rabbitmq.start()
            until(replayer.has_ended, seconds=60, what="the end of a replay without RabbitMQ")
    left = sum(site.ready().get(name, 0) for name in (site.dead_queue,))
    # What a killed replayer had is nobody's until RabbitMQ has noticed, and a replay then ends without it.
    for number in range(len(faults), len(faults) + 10):
        replayer = Replayer(site, tmp_path / f"replayer-{number}")
        if replayer.status == 0 and not private_rabbitmq.messages()[site.dead_queue]:
            break

    # Then each has run once, and nothing is left
    site.wait_for(keys, seconds=60)
    time.sleep(site.lease_s + 0.5)  # a copy that found its key held looks again within a lease
    until(partial(_is_quiet, site), seconds=30, what="the end of all copies")
    site.stop()
    runs = site.effects.by_key()
    log.info(
        "dead %d, replayed and run %d, run again %d, copies that did not run %d, killed: replayers %d, RabbitMQ %d; "
        "left for the last replay %d",
        letters,
        len(runs),
        sum(len(each) - 1 for each in runs.values()),
        site.said("duplicate").total(),
        kills,
        restarts,
        left,
    )
    assert runs.keys() == set(keys)
    assert site.effects.wrong(killed=site.killed) == []
    assert sum(map(len, runs.values())) == letters
    assert site.open_records() == []
    assert site.left() == {}


def _is_quiet(site: Deployment) -> bool:
    return site.ready() == {}
