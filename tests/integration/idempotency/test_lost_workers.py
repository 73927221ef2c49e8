"""Workers that are heard of no more, that come too late, or that stop."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from middleware import current
from middleware.keys import digest
from middleware.stores import Claim, Ending, Outcome
from services.deadline import until
from tests.integration.idempotency.conftest import Site

LEASE_MS = 1_500


def test_a_message_of_a_lost_worker_runs_after_one_lease_at_most_and_is_told(site: Site) -> None:
    # Given a message whose worker has been lost
    seen: list[tuple[bool, int, float]] = []
    job = site.declare(lambda: seen.append((current().maybe_ran, current().number, time.monotonic())), lease=LEASE_MS)
    message = job.message()
    lost = site.taken(message.message_id, owner=message.message_id, lease_ms=LEASE_MS)
    began = time.monotonic()

    # When it is delivered again
    with site.working():
        site.brokers[0].enqueue(message)
        until(lambda: site.state(message.message_id) == "done", seconds=10, what="its end")

    # Then it runs once the lease is over, and what the lost one says does not count
    [(maybe_ran, number, at)] = seen
    assert (maybe_ran, number) == (True, 1)
    assert at - began == pytest.approx(LEASE_MS / 1000, abs=1.4)
    assert site.store.exchange([Outcome(lost, Ending.DONE)], [])[0] == [False]
    assert site.counts["later"] >= 1
    assert site.left == (0, 0)


def test_a_message_that_costs_each_worker_its_life_is_a_dead_letter(site: Site) -> None:
    ran: list[bool] = []
    job = site.declare(lambda: ran.append(True), lease=200, max_losses=2)
    message = job.message()
    for _ in range(2):
        lost = site.taken(message.message_id, owner=message.message_id, lease_ms=1, max_losses=2)
        if lost.needs_mark:
            assert site.store.mark(lost)
        until(lambda: over(site, message.message_id), seconds=5, what="the end of the lease")
    with site.working():
        site.brokers[0].enqueue(message)
        until(lambda: site.left == (0, 1), seconds=10, what="the dead letter")

    assert ran == []
    assert (site.state(message.message_id), site.counts) == ("failed", {"poison": 1})


@pytest.mark.parametrize("started", [True, False])
def test_a_message_is_parked_if_it_had_started_when_its_worker_was_lost(site: Site, started: bool) -> None:
    ran: list[bool] = []
    job = site.declare(lambda: ran.append(current().maybe_ran), lease=500, on_lost="park")
    message = job.message()
    lost = site.taken(message.message_id, owner=message.message_id, lease_ms=300, park=True)
    if started:
        assert site.store.mark(lost)
    with site.working():
        site.brokers[0].enqueue(message)
        until(lambda: ran or site.left == (0, 1), seconds=10, what="its end")

    if started:
        assert (ran, site.state(message.message_id)) == ([], "unknown")
    else:
        assert (ran, site.left, site.state(message.message_id)) == ([False], (0, 0), "done")


def fail() -> None:
    raise ConnectionError


@pytest.mark.parametrize(
    ("end", "options"),
    [
        pytest.param(lambda: None, {"on_success": "report"}, id="done"),
        pytest.param(fail, {"on_failure": "report", "min_backoff": 50}, id="retried"),
        pytest.param(fail, {"on_failure": "report", "max_retries": 0}, id="dead"),
    ],
)
def test_nothing_follows_an_attempt_whose_key_was_taken_over(
    site: Site, end: Callable[[], None], options: dict[str, Any]
) -> None:
    # Given a job whose key another takes over while it runs
    started, go_on, reported = threading.Event(), threading.Event(), list[object]()

    def job() -> str:
        started.set()
        assert go_on.wait(20)
        end()
        return "mine"

    site.declare(lambda *of: reported.append(of), actor_name="report")
    site.declare(job, idempotency_key="order", **options).send()
    with site.working():
        until(started.is_set, seconds=10, what="its start")
        site.store.release(digest("job", "order"), force=True)
        other: Claim = site.taken("order", owner="another", lease_ms=60_000)

        # When it ends
        go_on.set()
        until(lambda: site.counts["stale"] == 1, seconds=10, what="its outcome")

    # Then its message is gone, and it left no result, no retry, no dead letter, and no report
    assert site.left == (0, 0)
    record = site.record("order")
    assert record is not None
    assert (record.state, record.owner, record.fence) == ("running", "another", other.fence)
    with site.working():
        reporting = site.brokers[0].actors["report"].send("the last one")
        until(lambda: site.record(reporting.message_id, "report"), seconds=10, what="what was sent last")
        until(lambda: reported, seconds=10, what="what was sent last")
    assert reported == [("the last one",)]
    assert site.store.exchange([Outcome(other, Ending.DONE)], [])[0] == [True]


def test_a_worker_that_stops_gives_back_what_it_has_not_started(site: Site) -> None:
    # Given a worker at the first of many messages, all of which it has claimed for a minute
    other = site.another()
    started, go_on, seen = threading.Event(), threading.Event(), list[tuple[int, bool]]()

    def job(number: int) -> None:
        seen.append((number, current().maybe_ran))
        started.set()
        assert go_on.wait(20)

    jobs = site.declare(job, lease=60_000)
    messages = [jobs.message(number) for number in range(30)]
    site.brokers[0].enqueue_many(messages)
    with site.working(threads=1) as worker:
        until(started.is_set, seconds=10, what="the first")
        until(lambda: worker.work_queue.qsize() == 29, seconds=10, what="the others")
        assert {site.state(message.message_id) for message in messages} == {"running"}

        # When it stops, and the first comes to its end after that
        def end_the_first() -> None:
            until(lambda: not worker.workers[0].running, seconds=10, what="the stop")
            go_on.set()

        threading.Thread(target=end_the_first).start()
    assert len(seen) == 1
    states = [site.state(message.message_id) for message in messages]
    assert sorted(str(state) for state in states) == ["done", *["waiting"] * 29]

    # Then another one begins the rest at once
    began = time.monotonic()
    with site.working(other):
        until(lambda: len(seen) == 30, seconds=10, what="the rest")
    assert time.monotonic() - began < 10
    assert sorted(seen) == [(number, False) for number in range(30)]
    assert site.left == (0, 0)
    assert site.counts == {}


def test_a_job_that_outlives_its_lease_keeps_its_key(site: Site) -> None:
    other = site.another()
    started, go_on, ran = threading.Event(), threading.Event(), list[int]()

    def job() -> None:
        ran.append(current().fence)
        started.set()
        assert go_on.wait(20)

    message = site.declare(job, lease=300).send()
    with site.working(), site.working(other):
        until(started.is_set, seconds=10, what="its start")
        first = site.record(message.message_id)
        assert first is not None
        until(lambda: renewed_for(site, message.message_id, first.until) > 900, seconds=10, what="three leases")
        go_on.set()
        until(lambda: site.state(message.message_id) == "done", seconds=10, what="its end")

    record = site.record(message.message_id)
    assert record is not None
    assert (ran, site.counts) == ([record.fence], {})


def over(site: Site, key: str) -> bool:
    record = site.record(key)
    return record is not None and record.until < site.store.now()


def renewed_for(site: Site, key: str, since: int) -> int:
    record = site.record(key)
    return record.until - since if record is not None else 0
