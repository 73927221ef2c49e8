"""Messages that are aborted while real brokers have them: acked, not tried again, and no dead letters."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest

from actors import Abort
from middleware import Aborted, AttemptLog, Attempts
from middleware.keys import digest
from services.deadline import until
from tests.integration.idempotency.conftest import Site


class Job:
    """Runs until it is interrupted, or let go."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.let_go = False
        self.ended: list[tuple[int, bool]] = []

    def work(self, number: int) -> None:
        self.started.release()
        try:
            until(lambda: self.let_go, seconds=60, what="leave to end")
        except Aborted:
            self.ended.append((number, False))
            raise
        self.ended.append((number, True))


def abort(site: Site, message: dramatiq.Message[Any]) -> Abort:
    return site.store.abort(message.message_id, [digest("job", message.message_id)])


def outcomes(site: Site) -> dict[str, int]:
    attempts = [each for broker in site.brokers for each in broker.middleware if isinstance(each, Attempts)]
    logs = [each for one in attempts for each in one.listeners if isinstance(each, AttemptLog)]
    return dict(sum((each.counts for each in logs), start=Counter[str]()))


@pytest.fixture
def job() -> Job:
    return Job()


def test_a_message_is_aborted_whichever_process_has_it_and_wherever_it_waits(site: Site, job: Job) -> None:
    # Given one that runs, one that waits in the memory of the same worker, one that is delayed
    site.another()
    actor = site.declare(job.work, max_retries=3)
    broker = site.brokers[0]
    with site.working(site.brokers[1], threads=1):
        running, prefetched = actor.send(1), actor.send(2)
        assert job.started.acquire(timeout=20)
        until(lambda: site.state(prefetched.message_id) == "running", seconds=20, what="the claim of the second")
        delayed = broker.enqueue(actor.message(3), delay=1_500)

        # When all of them are aborted, while the process that runs is another one
        found = [abort(site, each) for each in (running, prefetched, delayed)]
        until(lambda: outcomes(site) == {"aborted": 3}, seconds=20, what="the end of all")

    # Then one was interrupted, and none has run to its end
    assert found == [Abort.RUNNING, Abort.RUNNING, Abort.UNKNOWN]
    assert job.ended == [(1, False)]
    assert [site.state(each.message_id) for each in (running, prefetched, delayed)] == ["failed"] * 3
    assert site.left == (0, 0)
    assert site.store.aborts(0) == []


def test_a_retry_that_was_aborted_is_acked_when_it_is_due(site: Site) -> None:
    ran: list[int] = []

    def fail() -> None:
        ran.append(1)
        raise ConnectionError

    message: Callable[[], dramatiq.Message[Any]] = site.declare(fail, min_backoff=500, jitter=False).message
    sent = site.brokers[0].enqueue(message())
    with site.working():
        until(lambda: site.state(sent.message_id) == "waiting", seconds=20, what="the failure")
        assert abort(site, sent) is Abort.WAITING
        until(lambda: outcomes(site) == {"retried": 1, "aborted": 1}, seconds=20, what="the end")
    assert (ran, site.left, site.state(sent.message_id)) == ([1], (0, 0), "failed")
