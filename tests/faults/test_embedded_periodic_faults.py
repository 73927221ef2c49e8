"""Schedulers on an SQLite file, killed, frozen and kept from their file: each tick is enqueued once."""

import logging
import resource
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import pytest

from services.deadline import until
from tests.faults.embedded_schedulers import REPLICAS, EmbeddedSchedulers

log = logging.getLogger(__name__)

# Ticks so close to each other that a silence between them is a failover.
CLOSE = {"count": 3, "every_ms": 5}
LONG = [pytest.mark.long, pytest.mark.timeout(900)]
FAILOVER_AFTER_DEATH = timedelta(milliseconds=100)
FAILOVER_AFTER_FREEZE = timedelta(seconds=8)

Embed = Callable[..., EmbeddedSchedulers]


@pytest.fixture
def embed(tmp_path: Path) -> Iterator[Embed]:
    """Return a function that makes schedulers on a file of the test's own; nothing of them runs yet."""
    made: list[EmbeddedSchedulers] = []

    def make(count: int = 100, every_ms: int = 100) -> EmbeddedSchedulers:
        made.append(EmbeddedSchedulers(tmp_path, count, every_ms))
        return made[-1]

    yield make
    for each in made:
        each.close()


def check(schedulers: EmbeddedSchedulers, faults: int, failovers: list[timedelta]) -> None:
    """Count what is enqueued, and compare it with what was to be, tick by tick."""
    expected, enqueued = schedulers.expected(), schedulers.enqueued()
    took = sorted(each.total_seconds() * 1000 for each in failovers) or [0.0]
    log.info(
        "faults %d, ticks %d, doubled %d, missed %d, failover %.0f / %.0f ms (p50, max)",
        faults,
        len(expected),
        enqueued.doubled,
        len(expected - enqueued.copies.keys()),
        median(took),
        took[-1],
    )
    assert enqueued.copies.keys() == expected
    assert enqueued.doubled == 0
    assert all(len(ids) == 1 for ids in enqueued.ids.values())
    assert schedulers.missed() == 0


# A machine that is busy with other tests says little of how long anything takes.
@pytest.mark.parametrize(
    ("kills", "within"), [(5, timedelta(seconds=2)), pytest.param(60, FAILOVER_AFTER_DEATH, marks=LONG)]
)
def test_each_tick_is_enqueued_once_though_leaders_are_killed(kills: int, within: timedelta, embed: Embed) -> None:
    schedulers = embed(**CLOSE)
    schedulers.start_all()

    killed = [schedulers.kill_leader() for _ in range(kills)]
    schedulers.wait_until_steady()
    schedulers.wait_for_more()
    assert schedulers.stop() == [0] * REPLICAS

    enqueued = schedulers.enqueued()
    silences = [enqueued.silence_after(moment, within_s=2) for moment in killed]
    check(schedulers, kills, silences)
    assert sorted(silences)[kills // 2] < within


@pytest.mark.parametrize("freezes", [1, pytest.param(5, marks=LONG)])
def test_a_leader_that_was_frozen_enqueues_nothing_when_it_wakes_up(freezes: int, embed: Embed) -> None:
    schedulers, seconds = embed(), 8
    schedulers.start_all()
    frozen_at = []

    for _ in range(freezes):
        schedulers.wait_for_more()
        frozen, at = schedulers.freeze_leader(within_a_transaction=False), datetime.now(UTC)
        schedulers.wait_for_another(frozen)
        schedulers.wait_for_more()
        frozen.thaw()
        frozen_at.append(at)
        schedulers.wait_until_steady()
    schedulers.wait_for_more()
    assert schedulers.stop() == [0] * REPLICAS

    enqueued = schedulers.enqueued()
    failovers = [enqueued.silence_after(at, within_s=seconds) for at in frozen_at]
    check(schedulers, freezes, failovers)
    assert max(failovers) < FAILOVER_AFTER_FREEZE


def test_a_leader_that_is_frozen_within_a_transaction_holds_all_up_and_doubles_nothing(embed: Embed) -> None:
    schedulers = embed(count=300)
    schedulers.start_all()
    schedulers.wait_for_more()

    frozen = schedulers.freeze_leader(within_a_transaction=True)
    # Nobody can write, and that is said; the others try it again and again.
    others = [each for each in schedulers.replicas.values() if each is not frozen]
    until(lambda: any("locked" in each.log() for each in others), seconds=30, what="a complaint")
    frozen.thaw()
    schedulers.wait_until_steady()
    schedulers.wait_for_more()
    assert schedulers.stop() == [0] * REPLICAS
    check(schedulers, 1, [])


def test_schedulers_that_are_asked_to_go_hand_over_at_once(embed: Embed) -> None:
    schedulers, handovers = embed(**CLOSE), 3
    schedulers.start_all()
    stopped = []

    for _ in range(handovers):
        schedulers.wait_until_steady()
        leader, at = schedulers.leader, datetime.now(UTC)
        stopped.append(at)
        assert leader.stop() == 0
        schedulers.wait_for_another(leader)
        schedulers.start()
    schedulers.wait_until_steady()
    schedulers.wait_for_more()
    assert schedulers.stop() == [0] * REPLICAS

    enqueued = schedulers.enqueued()
    check(schedulers, handovers, [enqueued.silence_after(at, within_s=2) for at in stopped])


@pytest.mark.parametrize("times", [1, pytest.param(5, marks=LONG)])
def test_a_file_that_others_keep_locked_holds_ticks_up_and_no_more(times: int, embed: Embed) -> None:
    schedulers = embed()
    schedulers.start_all()

    for _ in range(times):
        schedulers.wait_for_more()
        leader = schedulers.leader
        said = len(leader.log())
        with schedulers.locked():
            until(
                lambda leader=leader, said=said: "another process has kept it locked" in leader.log()[said:],  # type: ignore[misc]
                seconds=20,
                what="a complaint",
            )
        schedulers.wait_until_steady()
    schedulers.wait_for_more()
    assert schedulers.stop() == [0] * REPLICAS
    check(schedulers, times, [])


def test_a_disk_that_takes_no_more_holds_ticks_up_and_no_more(embed: Embed) -> None:
    schedulers = embed()
    schedulers.start_all()
    schedulers.wait_for_more()

    replicas = list(schedulers.replicas.values())
    limits = {each.pid: resource.prlimit(each.pid, resource.RLIMIT_FSIZE) for each in replicas}
    for pid, (_, hard) in limits.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
    until(lambda: all("its disk fails" in each.log() for each in replicas), seconds=30, what="complaints of all")
    count = schedulers.count()
    time.sleep(1)  # the fault itself
    assert schedulers.count() == count
    for pid, limit in limits.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
    schedulers.wait_until_steady()
    schedulers.wait_for_more()
    assert schedulers.stop() == [0] * REPLICAS
    check(schedulers, 1, [])


@pytest.mark.long
def test_who_leads_and_who_stands_by_are_nearly_idle_where_nothing_is_due(embed: Embed) -> None:
    schedulers, seconds = embed(count=10, every_ms=3_600_000), 30
    schedulers.start_all()

    before = schedulers.cpu_s()
    time.sleep(seconds)  # what is measured
    shares = {name: (used_s - before[name]) / seconds for name, used_s in schedulers.cpu_s().items()}
    log.info("of a core: %s", ", ".join(f"{name} {share:.2%}" for name, share in shares.items()))
    assert max(shares.values()) < 0.01
