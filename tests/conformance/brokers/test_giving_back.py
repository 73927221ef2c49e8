"""What a worker has taken and not begun, when it begins nothing more and one of its jobs still runs."""

from __future__ import annotations

import threading

from actors.brokers.giving_back import give_back
from tests.conformance.brokers.subject import SharedSubject, declare, wait, working


def test_what_has_not_begun_is_another_workers_at_once_and_what_runs_ends_once(shared: SharedSubject) -> None:
    # Given a worker that has taken several, and runs one of them
    began, go, ran = threading.Event(), threading.Event(), list[int]()

    def job(number: int) -> None:
        if number == 0:
            began.set()
            assert go.wait(20)
        ran.append(number)

    actor = declare(shared, job)
    with working(shared, threads=1) as leaving:
        # One on a file takes more than it can begin only of what has been quick.
        for number in range(-4, 1):
            actor.send(number)
        assert began.wait(20)
        shared.enqueue_many(actor.message(number) for number in range(1, 10))
        wait(shared, lambda: leaving.work_queue.qsize() > 0, "more in its hands")
        leaving.workers[0].stop()

        # When it is to give back what it has not begun
        def has_given_back() -> bool:
            give_back(leaving)
            return shared.counts()[0] == 9 and leaving.work_queue.empty()

        wait(shared, has_given_back, "all but one back in the queue")

        # Then another one runs that, though the first has its job still, and takes nothing more
        with working(shared, threads=2):
            wait(shared, lambda: len(ran) == 13, "the others")
            actor.send(10)
            wait(shared, lambda: len(ran) == 14, "a later one")
        go.set()
        wait(shared, lambda: len(ran) == 15, "the first")

    assert sorted(ran) == list(range(-4, 11))
    assert shared.counts() == (0, 0)
