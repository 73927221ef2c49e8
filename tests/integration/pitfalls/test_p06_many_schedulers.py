"""Pitfall 6: two web workers, two pods or a reload start two schedulers, and every job runs twice."""

from collections import Counter

from tests.faults.schedulers import Schedulers


def test_p06_each_tick_is_enqueued_once_by_three_replicas_of_which_one_is_restarted(schedulers: Schedulers) -> None:
    schedulers.start_all(3)
    schedulers.wait_for_more(0.5)
    assert schedulers.leader.stop() == 0
    schedulers.start()
    schedulers.wait_until_steady(3)
    schedulers.wait_for_more(0.5)
    assert schedulers.stop() == [0, 0, 0]

    assert schedulers.enqueued().copies == Counter(schedulers.expected())
