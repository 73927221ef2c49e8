"""Pitfall 23: only listeners that most people do not have tell of a tick that was missed, suppressed, or has failed."""

import time
from collections.abc import Iterator

import pytest

from services.deadline import until
from tests.integration.periodic.shop import Shop
from tests.integration.project import Project

TASKS = """
    from actors import actor
    from periodic import every

    @actor(periodic=every(seconds=1, catch_up=0))
    def pulse() -> None: ...

    @actor(periodic=every(seconds=1), max_retries=0)
    def broken() -> None:
        raise ValueError("no luck")
"""


@pytest.fixture
def shop(project: Project) -> Iterator[Shop]:
    shop = Shop(project)
    project.write("shop_tasks", TASKS)
    yield shop
    shop.close()


def wait_for_ticks_to_pass() -> None:
    since = time.monotonic()
    until(lambda: time.monotonic() - since > 3, seconds=10, what="three ticks that nobody enqueues")


def last_missed(shop: Shop, name: str) -> str:
    return str((shop.row(name)["last_missed"] or {}).get("reason"))


def test_p23_missed_suppressed_and_failed_ticks_are_shown_with_their_reason(shop: Shop) -> None:
    # Given jobs that fail, a schedule that was paused, and a time in which no scheduler ran
    with shop.worker():
        with shop.leading():
            until(lambda: shop.outcomes("broken"), seconds=30, what="the record of a failure")
            shop.says("pause", "pulse")
            shop.says("resume", "pulse")
        with shop.leading():
            until(
                lambda: "was" in (shop.row("pulse")["last_missed"] or {}).get("reason", ""), seconds=30, what="a record"
            )
            row = shop.row("broken")

    # Then nobody needs a listener to know
    assert (row["last"]["outcome"], row["last"]["error"]) == ("failed", "ValueError: no luck")
    events = shop.json("history", "pulse", "--limit", "1000")["events"]
    reasons = [event["reason"] for event in events if event["outcome"] == "missed"]
    assert any(reason.startswith("it was paused by ") for reason in reasons)
    assert any("with catch_up=0 s" in reason for reason in reasons)
