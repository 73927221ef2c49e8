"""Pitfall 8: a single scheduler is a single point of failure, and two of them double every task."""

from collections import Counter
from datetime import UTC, datetime

from services.deadline import until
from tests.faults.schedulers import Schedulers


def test_p08_a_standby_leads_when_the_leader_is_killed_and_no_tick_is_missing_or_doubled(
    schedulers: Schedulers,
) -> None:
    """How long that takes is measured by `make faults`, where nothing else keeps the machine busy."""
    schedulers.start_all(3)
    killed = []
    for _ in range(2):
        schedulers.wait_for_more(0.3)
        killed.append(datetime.now(UTC))
        schedulers.leader.kill()
        until(lambda: any(each.leads for each in schedulers.replicas), seconds=20, what="another leader")
    schedulers.wait_for_more(0.3)
    assert schedulers.stop() == [0]

    enqueued = schedulers.enqueued()
    silences = [enqueued.silence_after(moment, within_s=0.5) for moment in killed]
    assert enqueued.copies == Counter(schedulers.expected()), f"after kills nothing was enqueued for {silences}"
    assert schedulers.missed() == []
