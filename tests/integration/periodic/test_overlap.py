"""Runs of a schedule that overlap, with a real scheduler and two real workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from middleware import TickRun
from services.deadline import until
from tests.integration.periodic.shop import Shop
from tests.integration.project import Project

TASKS = """
    import time
    from pathlib import Path

    from actors import actor, current
    from periodic import every

    def note(event):
        message = current().message
        with Path("ran").open("a") as ran:
            ran.write(f"{message.options['tick']['schedule']} {event} {message.message_id}\\n")

    @actor(periodic=[every(seconds=0.5, name=policy, overlap=policy) for policy in ("skip", "queue_one")])
    def job() -> None:
        note("begin")
        while Path("hold").exists():
            time.sleep(0.02)
        note("end")
"""

POLICIES = ("skip", "queue_one")


@pytest.fixture
def shop(project: Project) -> Iterator[Shop]:
    shop = Shop(project)
    project.write("shop_tasks", TASKS)
    yield shop
    shop.close()


def skipped(shop: Shop, policy: str) -> list[TickRun]:
    return [run for run in shop.runs(policy) if run.outcome == "skipped"]


def test_one_run_goes_on_across_all_workers_while_ticks_are_skipped_or_one_waits(shop: Shop) -> None:
    hold = shop.project.folder / "hold"
    hold.touch()
    with ExitStack() as stack:
        stack.enter_context(shop.worker())
        stack.enter_context(shop.worker(beside=1))
        stack.enter_context(shop.leading())

        # While the first runs go on, ticks are skipped in both workers
        for policy in POLICIES:
            both = partial(lambda policy: len({run.worker for run in skipped(shop, policy)}) == 2, policy)
            until(both, seconds=60, what=f"skipped ticks of {policy} in both workers")
        [first] = shop.ran("skip begin")
        assert {run.error for run in skipped(shop, "skip")} == {f"overlap=skip: the run of message {first} goes on"}
        [first] = shop.ran("queue_one begin")
        [reason] = {run.error for run in skipped(shop, "queue_one") if "waits" in run.error}
        waiting = reason.removeprefix("overlap=queue_one: message ").removesuffix(" waits already")
        assert waiting not in {run.message_id for run in shop.runs("queue_one")}

        # When they end, the one that waits runs next, and later ticks run again
        hold.unlink()
        for policy in POLICIES:
            again = partial(lambda policy: len(shop.ran(f"{policy} end")) >= 4, policy)
            until(again, seconds=30, what=f"more runs of {policy}")
    assert shop.ran("queue_one begin")[:2] == [first, waiting]

    for policy in POLICIES:
        # No run begins before the one ahead of it has ended
        ids = shop.ran(f"{policy} begin")
        assert shop.ran(policy) == [f"{event} {each}" for each in ids for event in ("begin", "end")]
        # And each tick is recorded with one end
        ends = {run.message_id: run.outcome for run in shop.runs(policy)}
        assert {each for each, outcome in ends.items() if outcome == "done"} == set(ids)
        assert len(ends) == len(shop.runs(policy))
    assert "skipped" in shop.outcomes("skip").values()
