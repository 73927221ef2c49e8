"""Pitfall 9: all rests on one lock with an expiry, and a holder that was paused wakes up and still publishes."""

from collections import Counter

from services.deadline import until
from tests.faults.schedulers import Schedulers


def test_p09_a_leader_that_was_frozen_wakes_up_publishes_nothing_and_stands_by(schedulers: Schedulers) -> None:
    schedulers.start_all(2)
    schedulers.wait_for_more(0.3)
    frozen = schedulers.leader
    frozen.freeze()
    [other] = [each for each in schedulers.replicas if each is not frozen]
    until(lambda: other.leads, seconds=30, what="another leader")
    schedulers.wait_for_more(0.3)

    frozen.thaw()
    until(lambda: frozen.is_standing_by, seconds=20, what="the old leader to stand by")
    schedulers.wait_for_more(0.3)
    assert other.leads
    assert schedulers.stop() == [0, 0]

    assert schedulers.enqueued().copies == Counter(schedulers.expected())
    assert schedulers.missed() == []
