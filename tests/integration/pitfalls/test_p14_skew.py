"""Pitfall 14: clocks of hosts differ by more than a minute, and ticks are lost or doubled."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.deadline import until
from tests.faults.schedulers import Schedulers
from tests.faults.ticks import Plan
from tests.integration.periodic.probed import Probed
from tests.integration.project import Project

APART_S = 90


@pytest.fixture
def schedulers(broker_url: str, redis_url: str, prefix: str, tmp_path: Path) -> Iterator[Schedulers]:
    schedulers = Schedulers(broker_url, redis_url, prefix, tmp_path, Plan(last=10, every_ms=500), "quorum")
    yield schedulers
    schedulers.close()


def test_p14_clocks_90_s_apart_lose_and_double_no_tick_and_the_skew_is_shown_and_past_its_limit_unready(
    schedulers: Schedulers, project: Project
) -> None:
    # Given a leader, and a replica on a machine whose clock is ahead
    right = schedulers.start(skew_s=0, ACTORS_HEALTH_ADDRESS="127.0.0.1:0")
    schedulers.wait_until_steady(1)
    ahead = schedulers.start(skew_s=APART_S, ACTORS_HEALTH_ADDRESS="127.0.0.1:0")
    schedulers.wait_until_steady(2)
    leader, standby = Probed(right.log), Probed(ahead.log)

    # Then the skew is measured against RabbitMQ's clock, and past its limit it is not ready
    until(lambda: standby.problem("clock"), seconds=20, what="a measure")
    assert "s ahead of RabbitMQ's, and 60 s is the limit; synchronise" in standby.problem("clock")
    assert (standby.ask()[0], standby.ask("/live")[0]) == (503, 200)
    until(lambda: "this machine's clock is" in str(leader.ask()), seconds=20, what="a measure")
    assert leader.problem("clock") == ""

    # And operators see it
    told = json.loads(project.python("-m", "periodic", "status", "--json", ACTORS_MODULES="").stdout)
    [other] = told["standbys"]
    assert [told["leader"]["skew_ms"], other["skew_ms"]] == [
        pytest.approx(0, abs=2_000),
        pytest.approx(APART_S * 1_000, abs=2_000),
    ]
    assert other["ready"] is False

    # When that one leads, and then one whose clock is right again, and has to wait
    right.kill()
    until(lambda: ahead.leads, seconds=20, what="the next leader")
    schedulers.wait_for_more(3)
    third = schedulers.start(skew_s=0)
    schedulers.wait_until_steady(2)
    ahead.kill()
    until(lambda: third.leads, seconds=20, what="the last leader")
    assert third.stop() == 0

    # Then each tick is there once
    enqueued = schedulers.enqueued()
    assert enqueued.copies.keys() == schedulers.expected()
    assert enqueued.doubled == 0
    assert schedulers.missed() == []
