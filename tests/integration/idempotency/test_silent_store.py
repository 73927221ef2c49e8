"""A Redis that is frozen, flushed or restarted while there is work."""

import logging
import threading
from collections import Counter
from typing import Any

import pytest

import services
from middleware import current
from services.deadline import until
from tests.integration.idempotency.conftest import Site


def test_while_redis_is_frozen_no_message_runs_and_none_is_lost(
    frail_site: Site, private_redis: services.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a worker that has done a job
    site, ran = frail_site, Counter[int]()
    job = site.declare(lambda number: ran.update([number]))
    with site.working():
        job.send(0)
        until(lambda: ran[0], seconds=10, what="the first job")
        until(lambda: site.left == (0, 0), seconds=10, what="its end")

        # When Redis is frozen, and more comes
        private_redis.freeze()
        site.brokers[0].enqueue_many(job.message(number) for number in range(1, 51))
        until(lambda: "messages wait: " in caplog.text, seconds=10, what="the pause")
        assert site.left == (0, 0)
        assert ran == {0: 1}

        # Then all runs once Redis goes on
        private_redis.thaw()
        until(lambda: len(ran) == 51, seconds=10, what="all jobs")
    assert set(ran.values()) == {1}
    assert site.left == (0, 0)


def test_a_job_that_ends_while_redis_is_frozen_is_recorded_afterwards(
    frail_site: Site, private_redis: services.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    site, started, go_on, ran = frail_site, threading.Event(), threading.Event(), list[int]()

    def job() -> int:
        started.set()
        assert go_on.wait(20)
        ran.append(current().fence)
        return current().fence

    message = site.declare(job, lease=30_000).send()
    with site.working():
        until(started.is_set, seconds=10, what="its start")
        private_redis.freeze()
        go_on.set()
        until(lambda: "messages wait: " in caplog.text, seconds=10, what="the pause")
        private_redis.thaw()
        until(lambda: site.state(message.message_id) == "done", seconds=10, what="the record")

    assert len(ran) == 1
    assert (site.left, site.counts) == ((0, 0), {})


def test_a_worker_that_stops_while_redis_is_frozen_gives_all_back(
    frail_site: Site, private_redis: services.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    site, other, ran = frail_site, frail_site.another(), Counter[int]()
    job = site.declare(lambda number: ran.update([number]))
    private_redis.freeze()
    with site.working():
        site.brokers[0].enqueue_many(job.message(number) for number in range(10))
        until(lambda: "messages wait: " in caplog.text, seconds=10, what="the pause")
    until(lambda: site.left == (10, 0), seconds=10, what="all messages in the queue again")
    assert ran == {}

    private_redis.thaw()
    with site.working(other):
        until(lambda: len(ran) == 10, seconds=10, what="all jobs")
    assert ran == dict.fromkeys(range(10), 1)
    assert site.left == (0, 0)


def test_messages_that_may_run_without_their_keys_do_while_redis_is_frozen(
    frail_site: Site, private_redis: services.Redis
) -> None:
    site, ran = frail_site, Counter[str]()
    careful = site.declare(lambda: ran.update(["careful"]))
    urgent = site.declare(lambda: ran.update(["urgent"]), actor_name="urgent", on_outage="run")
    private_redis.freeze()
    with site.working():
        careful.send()
        urgent.send()
        until(lambda: ran["urgent"], seconds=10, what="the urgent job")
        assert ran == {"urgent": 1}
        assert site.counts["unprotected"] == 1

        private_redis.thaw()
        until(lambda: ran["careful"], seconds=10, what="the other")
    assert ran == {"urgent": 1, "careful": 1}
    assert site.left == (0, 0)


def test_the_record_of_a_job_comes_back_with_its_next_renewal_when_redis_is_flushed(frail_site: Site, raw: Any) -> None:
    site, started, go_on = frail_site, threading.Event(), threading.Event()
    fences: list[int] = []

    def job() -> None:
        fences.append(current().fence)
        started.set()
        assert go_on.wait(20)

    message = site.declare(job, lease=600).send()
    with site.working():
        until(started.is_set, seconds=10, what="its start")
        raw.flushall()
        assert site.record(message.message_id) is None
        record = until(lambda: site.record(message.message_id), seconds=10, what="its record")
        assert record is not None
        assert (record.state, record.owner, [record.fence]) == ("running", message.message_id, fences)

        # A copy finds it, as if nothing had been.
        site.brokers[0].enqueue(message)
        until(lambda: site.counts["later"], seconds=10, what="the copy")
        go_on.set()
        until(lambda: site.counts["duplicate"], seconds=10, what="the end of the copy")

    assert len(fences) == 1
    assert site.state(message.message_id) == "done"


def test_jobs_go_on_when_redis_is_killed_and_starts_again(
    frail_site: Site, private_redis: services.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    site, started, go_on, ran = frail_site, threading.Event(), threading.Event(), Counter[int]()

    def job(number: int) -> None:
        ran.update([number])
        if number == 0:
            started.set()
            assert go_on.wait(30)

    jobs = site.declare(job, lease=60_000)
    with site.working():
        first = jobs.send(0)
        until(started.is_set, seconds=10, what="the first job")
        private_redis.kill()
        site.brokers[0].enqueue_many(jobs.message(number) for number in range(1, 11))
        until(lambda: "messages wait: " in caplog.text, seconds=10, what="the pause")
        private_redis.start()
        until(lambda: len(ran) == 11, seconds=20, what="the others")
        go_on.set()
        until(lambda: site.state(first.message_id) == "done", seconds=10, what="the end of the first")

    assert set(ran.values()) == {1}
    assert (site.left, site.counts) == ((0, 0), {})
