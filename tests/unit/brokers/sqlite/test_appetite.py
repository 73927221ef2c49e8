from __future__ import annotations

import threading

from dramatiq.worker import ConsumerThread, WorkerThread

from actors.brokers.sqlite.appetite import Appetite, worker_threads

QUICK, SLOW = 0.001, 5.0


def learned(appetite: Appetite, seconds: float, times: int) -> Appetite:
    for _ in range(times):
        appetite.learn([seconds])
    return appetite


def test_a_consumer_begins_with_one_message_a_thread() -> None:
    appetite = Appetite(100, lambda: 8)

    assert [appetite.room(held) for held in (0, 5, 8, 9)] == [8, 3, 0, 0]


def test_what_is_quick_is_taken_in_ever_larger_numbers_up_to_the_most() -> None:
    appetite = learned(Appetite(100, lambda: 8), QUICK, 4)
    assert appetite.room(0) == 16
    assert learned(appetite, QUICK, 10).room(0) == 100


def test_what_is_slow_does_not_wait_here_while_another_worker_could_begin_it() -> None:
    appetite = learned(Appetite(100, lambda: 8), QUICK, 10)

    learned(appetite, SLOW, 7)

    assert [appetite.room(held) for held in (0, 7, 8)] == [8, 1, 0]


def test_two_workers_share_a_short_queue_of_slow_jobs() -> None:
    queue = 16
    first, second = Appetite(100, lambda: 8), Appetite(100, lambda: 8)
    assert first.room(0) + second.room(0) == queue


def test_no_more_are_taken_than_the_most_however_many_threads_there_are() -> None:
    assert Appetite(4, lambda: 8).room(0) == 4


def test_there_is_always_room_for_one_also_while_no_thread_has_started() -> None:
    assert Appetite(100, lambda: 0).room(0) == 1


def test_nothing_is_learned_of_nothing() -> None:
    appetite = learned(Appetite(100, lambda: 1), QUICK, 10)
    appetite.learn([])
    assert appetite.room(0) == 100


def test_who_consumes_without_a_worker_may_hold_the_most() -> None:
    assert worker_threads() is None
    assert Appetite(100, worker_threads).room(40) == 60


def test_a_consumer_s_thread_counts_the_threads_of_its_worker() -> None:
    counted: list[int | None] = []
    release = threading.Event()

    class Working(WorkerThread):
        def run(self) -> None:
            release.wait(30)

    class Consuming(ConsumerThread):
        def run(self) -> None:
            counted.append(worker_threads())

    before = sum(isinstance(each, WorkerThread) for each in threading.enumerate())
    broker: object = None
    workers = [Working(broker=broker, consumers={}, work_queue=None, worker_timeout=1) for _ in range(3)]  # type: ignore[arg-type]
    for worker in workers:
        worker.start()
    consumer = Consuming(broker=broker, queue_name="q", prefetch=1, work_queue=None, worker_timeout=1)  # type: ignore[arg-type]
    consumer.start()
    consumer.join(30)
    release.set()

    assert counted == [before + 3]
