"""Counts, purges, and workers that stop."""

from __future__ import annotations

import threading

from services.deadline import until
from tests.conformance.brokers.subject import SharedSubject, Subject, declare, wait, working


def fail() -> None:
    raise ValueError("no")


def test_what_is_ready_and_what_is_dead_is_counted(subject: Subject) -> None:
    job = declare(subject, fail, max_retries=0)
    for number in range(3):
        job.send()
        assert subject.counts() == (number + 1, 0)

    with working(subject):
        wait(subject, lambda: subject.counts() == (0, 3), "three dead letters")
    job.send()
    assert subject.counts() == (1, 3)
    assert len(subject.dead()) == 3


def test_a_purge_drops_what_is_ready_of_its_queue_alone(subject: Subject) -> None:
    declare(subject, fail, actor_name="elsewhere", queue_name="other").send()
    job = declare(subject, fail)
    for _ in range(5):
        job.send()

    subject.broker.flush("default")

    assert (subject.counts(), subject.counts("other")) == ((0, 0), (1, 0))


def test_a_purge_drops_the_dead_letters_too(shared: SharedSubject) -> None:
    declare(shared, fail, max_retries=0).send()
    with working(shared):
        wait(shared, lambda: shared.counts() == (0, 1), "the dead letter")

    shared.broker.flush("default")

    assert shared.counts() == (0, 0)


def test_a_worker_that_stops_ends_what_runs_and_gives_back_the_rest(subject: Subject) -> None:
    started, go_on = threading.Event(), threading.Event()
    ran: list[int] = []

    def job(number: int) -> None:
        started.set()
        assert go_on.wait(20)
        ran.append(number)

    actor = declare(subject, job)
    subject.enqueue_many(actor.message(number) for number in range(10))
    with working(subject, threads=1) as worker:
        assert started.wait(10)

        def end() -> None:
            until(lambda: not worker.workers[0].running, seconds=20, what="the stop")
            go_on.set()

        threading.Thread(target=end).start()

    left = 10 - len(ran)
    wait(subject, lambda: subject.counts() == (left, 0), "what has not run, in its queue")
    assert 1 <= len(ran) < 10
    with working(subject):
        wait(subject, lambda: len(ran) == 10, "the others")
    assert sorted(ran) == list(range(10))
