"""Delays: never early, and never behind a longer one."""

from __future__ import annotations

import time

import pytest

from tests.conformance.brokers.subject import SharedSubject, Subject, declare, wait, working


def test_a_short_delay_does_not_wait_behind_a_long_one(subject: Subject) -> None:
    ran: list[str] = []
    job = declare(subject, ran.append)

    # It works already: what is due when it comes has one order, that in which it was sent.
    with working(subject, threads=1):
        for delay, name in ((3_600_000, "in an hour"), (2_000, "later"), (500, "soon")):
            job.send_with_options(args=(name,), delay=delay)
        job.send("at once")
        wait(subject, lambda: len(ran) == 3, "three jobs")

    assert ran == ["at once", "soon", "later"]


@pytest.mark.parametrize("delay", [1, 99, 100, 101, 750])
def test_a_delay_is_not_early(delay: int, shared: SharedSubject) -> None:
    ran: list[float] = []
    job = declare(shared, lambda: ran.append(time.time()))
    with working(shared):
        before = time.time()
        job.send_with_options(delay=delay)
        wait(shared, lambda: ran, "the job")

    assert delay / 1000 <= ran[0] - before < delay / 1000 + 5


def test_what_has_become_due_while_no_worker_ran_runs_when_one_does(subject: Subject) -> None:
    ran: list[int] = []
    job = declare(subject, ran.append)
    job.send_with_options(args=(1,), delay=100)
    subject.pass_time(300)

    with working(subject):
        wait(subject, lambda: ran == [1], "the job")
