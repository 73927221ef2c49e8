"""Pitfall 7: ``coalesce``, ``max_instances`` and ``misfire_grace_time`` hold in one process, and not across several."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from services.deadline import until
from tests.integration.periodic.shop import Shop
from tests.integration.project import Project

TASKS = """
    import time
    from pathlib import Path

    from actors import actor, current
    from periodic import every

    SECOND = 1

    @actor(periodic={
        "coalesced": every(seconds=SECOND, catch_up=0),
        "graceful": every(seconds=SECOND, catch_up=60_000),
    })
    def sync() -> None: ...

    @actor(periodic=every(seconds=SECOND, overlap="skip"))
    def slow() -> None:
        with Path("ran").open("a") as ran:
            ran.write(f"slow {current().message.message_id}\\n")
        while Path("hold").exists():
            time.sleep(0.02)
"""

SECOND = timedelta(seconds=1)


@pytest.fixture
def shop(project: Project) -> Iterator[Shop]:
    shop = Shop(project)
    project.write("shop_tasks", TASKS)
    # The run goes on for longer, so that its lease must be renewed.
    project.env["ACTORS_IDEMPOTENCY_LEASE_MS"] = "3000"
    yield shop
    shop.close()


def times(shop: Shop, name: str) -> list[datetime]:
    """The ticks of a schedule that have run, in order."""
    return sorted(datetime.fromisoformat(run.time) for run in shop.runs(name) if run.outcome == "done")


def gaps(shop: Shop, name: str) -> set[timedelta]:
    return {after - before for before, after in pairwise(times(shop, name))}


def test_p07_coalescing_overlap_and_grace_are_decided_across_all_replicas_and_workers(shop: Shop) -> None:
    hold = shop.project.folder / "hold"
    hold.touch()
    with ExitStack() as stack:
        stack.enter_context(shop.worker())
        stack.enter_context(shop.worker(beside=1))
        # Given a run that goes on, a leader that ends, and a time in which none leads
        with shop.leading():
            until(lambda: shop.ran("slow") and times(shop, "coalesced"), seconds=60, what="the first runs")
        before = len(times(shop, "coalesced"))
        since = time.monotonic()
        until(lambda: time.monotonic() - since > 3, seconds=10, what="ticks that nobody enqueues")

        # When two others come
        with shop.leading(), shop.scheduler():
            until(lambda: len(times(shop, "coalesced")) > before, seconds=60, what="ticks of the new leader")
            until(lambda: len(shop.runs("slow")) >= 3, seconds=60, what="ticks that are skipped")
            begun = shop.ran("slow")
            hold.unlink()
            until(lambda: len(shop.ran("slow")) > len(begun), seconds=60, what="another run")

        # Then within the grace all ticks run, and beyond it the latest one alone; each of them once
        until(lambda: gaps(shop, "graceful") == {SECOND}, seconds=30, what="every tick")
        assert max(gaps(shop, "coalesced")) > SECOND
        assert "missed" in shop.outcomes("coalesced").values()
    # And the run was the only one, whoever led and whichever worker had the tick
    assert len(begun) == 1
    ids = [run.message_id for run in shop.runs("graceful", "coalesced", "slow")]
    assert len(set(ids)) == len(ids)
