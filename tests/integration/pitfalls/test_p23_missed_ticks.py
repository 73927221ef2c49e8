"""Pitfall 23: only listeners that most people do not have tell of a tick that was missed, suppressed, or has failed."""

from datetime import timedelta

from services.deadline import until
from tests.integration.periodic.shop import Shop, now

TASKS = """
    from actors import actor
    from periodic import every

    @actor(periodic=every(seconds=0.5, catch_up=0), max_retries=0)
    def pulse() -> None:
        raise ValueError("no luck")
"""

RULE = " s late, with catch_up=0 s and coalesce enqueues the latest of such ticks"


def wait_for_six_ticks_to_pass() -> None:
    since = now()
    until(lambda: now() - since > timedelta(seconds=3), seconds=10, what="six ticks that nobody enqueues")


def test_p23_missed_suppressed_and_failed_ticks_are_shown_with_their_reason(shop: Shop) -> None:
    shop.project.write("shop_tasks", TASKS)

    # Given a schedule whose jobs fail, that was paused, and a time in which no scheduler ran
    with shop.worker() as worker:
        with shop.leading():
            shop.says("pause", "pulse")
            wait_for_six_ticks_to_pass()
            shop.says("resume", "pulse")
        wait_for_six_ticks_to_pass()
        with shop.leading() as log:
            until(lambda: "missed: it was" in log.read_text(), seconds=20, what="a record")
            until(lambda: "no luck" in worker.read_text(), seconds=20, what="a failure")

    # Then nobody needs a listener to know
    events = shop.json("history", "pulse", "--limit", "1000")["events"]
    reasons = [event["reason"] for event in events if event["outcome"] == "missed"]
    by_pause = [reason for reason in reasons if reason.startswith("it was paused by ")]
    by_standstill = [reason for reason in reasons if reason.endswith(RULE)]
    assert len(by_pause) == 1
    assert by_standstill
    assert len(reasons) == len(by_pause) + len(by_standstill)
    ran = {(event["outcome"], event["error"]) for event in events if event["outcome"] != "missed"}
    assert ran == {("failed", "ValueError: no luck")}
