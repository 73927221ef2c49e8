"""The queues through which operators see and lead schedulers."""

import pytest

from actors.brokers.topology import Topology
from periodic.pace import Pace

CLASSIC, QUORUM = Topology("classic"), Topology("quorum")


@pytest.mark.parametrize("pace", Pace)
def test_records_of_runs_are_bounded_and_read_any_number_of_times(pace: Pace) -> None:
    assert QUORUM.runs(pace).name == f"periodic.runs.{pace}.quorum"
    assert QUORUM.runs(pace).arguments == {
        "x-queue-type": "quorum",
        "x-delivery-limit": 1_000_000_000,
        "x-max-length": 2_500,
    }
    assert CLASSIC.runs(pace).name == f"periodic.runs.{pace}"
    assert CLASSIC.runs(pace).arguments == {"x-max-length": 2_500}


@pytest.mark.parametrize("topology", [CLASSIC, QUORUM])
def test_p20_a_prefix_is_put_before_every_name(topology: Topology) -> None:
    prefixed = Topology(topology.queue_type, prefix="staging")
    for pace in Pace:
        assert prefixed.runs(pace).name == f"staging.{topology.runs(pace).name}"
    assert prefixed.schedulers == "staging.schedulers"
    assert prefixed.connected_schedulers.name == "staging.schedulers.connected"
    assert prefixed.expiring(prefixed.scheduler("s1").name).name == "staging.scheduler.s1.expiring"
    assert prefixed.scheduler("s1").name == "staging.scheduler.s1"
