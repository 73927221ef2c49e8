"""Workers killed in the middle of runs that must not overlap."""

import logging
import random
import time
from collections import Counter
from functools import partial
from itertools import pairwise
from types import ModuleType

import pytest

import services
from services.deadline import until
from tests.faults.conftest import Deploy
from tests.faults.deployment import Deployment

log = logging.getLogger(__name__)

POLICIES = ("skip", "queue_one")
# Not imported here, where unit tests list all schedules of the process.
ALONE = ModuleType("tests.faults.alone")
vars(ALONE)["ACTORS"] = ()


def overlaps(site: Deployment, policy: str) -> list[str]:
    """Say which runs began before the one ahead of them had ended, or its worker was killed."""
    runs = sorted(site.effects.by_key()[policy], key=lambda run: run.began)
    ends = [run.ended or site.killed.get(run.worker, float("inf")) for run in runs]
    return [
        f"{later} began beside {earlier}"
        for (earlier, end), (later, _) in pairwise(zip(runs, ends, strict=True))
        if later.began < end
    ]


def went_on(site: Deployment, before: Counter[str]) -> bool:
    """Return whether each schedule has run twice since: once may have been what the kill has cut off."""
    return all(len(site.effects.by_key()[policy]) >= before[policy] + 2 for policy in POLICIES)


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_a_killed_worker_frees_the_slot_after_one_lease_and_no_run_is_beside_another(
    kills: int, rabbitmq_server: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    site = deploy(rabbitmq_server.url, redis_url, lease_ms=1_000, module=ALONE)
    site.start(2)
    site.start_scheduler()
    settled = []

    for _ in range(kills):
        until(lambda: all(site.effects.by_key()[each][2:] for each in POLICIES), seconds=60, what="runs")
        until(lambda: len(site.warm()) == 2, seconds=60, what="two warm workers")
        time.sleep(random.uniform(0, 0.3))
        # The one that began last may be in the middle of it
        running = {run.worker for run in site.effects.runs() if run.ended is None}
        victim = next((each for each in site.warm() if each.group in running), site.warm()[0])
        site.kill(victim)
        killed = time.monotonic()
        runs_before = Counter(run.key for run in site.effects.runs())
        site.start_one()
        until(partial(went_on, site, runs_before), seconds=site.lease_s + 20, what="two more runs of each schedule")
        settled.append(time.monotonic() - killed)
    site.stop()

    runs = site.effects.runs()
    cut_off = [run for run in runs if run.ended is None]
    log.info("kills %d, runs %d, cut off %d, settled in %.1f s at most", kills, len(runs), len(cut_off), max(settled))
    assert [each for policy in POLICIES for each in overlaps(site, policy)] == []
    assert {run.worker for run in cut_off} <= site.killed.keys()
