"""Pitfall 23: only listeners that most people do not have tell of a tick that was missed, suppressed, or has failed."""

from datetime import timedelta

from services.deadline import until
from tests.integration.periodic.shop import Shop, now

TASKS = """
    from actors import actor
    from periodic import every

    @actor(periodic=every(seconds=0.5, catch_up=0))
    def pulse() -> None: ...

    @actor(periodic=every(seconds=1), max_retries=0)
    def broken() -> None:
        raise ValueError("no luck")
"""


RULE = " s late, with catch_up=0 s and coalesce enqueues the latest of such ticks"


def wait_for_three_ticks_to_pass() -> None:
    since = now()
    until(lambda: now() - since > timedelta(seconds=1.5), seconds=10, what="three ticks that nobody enqueues")


def test_p23_missed_suppressed_and_failed_ticks_are_shown_with_their_reason(shop: Shop) -> None:
    shop.project.write("shop_tasks", TASKS)

    # Given jobs that fail, a schedule that was paused, and a time in which no scheduler ran
    with shop.worker() as worker:
        with shop.leading():
            shop.says("pause", "pulse")
            wait_for_three_ticks_to_pass()
            shop.says("resume", "pulse")
        wait_for_three_ticks_to_pass()
        with shop.leading() as log:
            until(lambda: "missed: it was" in log.read_text(), seconds=20, what="a record")
            until(lambda: "no luck" in worker.read_text(), seconds=20, what="a failure")

    # Then nobody needs a listener to know
    missed = [event for event in shop.json("history", "pulse")["events"] if event["outcome"] == "missed"]
    by_pause, *by_standstill = sorted(missed, key=lambda event: event["tick"])
    assert by_pause["reason"].startswith("it was paused by ")
    assert by_standstill
    assert all(each["reason"].endswith(RULE) for each in by_standstill)
    failed = shop.json("history", "broken")["events"]
    assert {(event["outcome"], event["error"]) for event in failed} == {("failed", "ValueError: no luck")}
