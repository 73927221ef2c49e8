"""Messages that are one, and messages that have one key."""

from __future__ import annotations

from actors.brokers.dispatch import Dispatch
from tests.conformance.brokers.subject import Subject, declare, wait, working


def duplicates(broker: Dispatch) -> int:
    assert broker.guard is not None
    return broker.guard.counts["duplicate"]


def test_copies_of_a_message_run_once(subject: Subject) -> None:
    ran: list[int] = []
    job = declare(subject, ran.append)
    message = job.send(1)

    with working(subject):
        wait(subject, lambda: ran, "the job")
        wait(subject, lambda: subject.counts() == (0, 0), "an empty queue")
        subject.enqueue_many([message] * 4)
        wait(subject, lambda: duplicates(subject.broker) == 4, "the ends of the copies")
        wait(subject, lambda: subject.counts() == (0, 0), "an empty queue")

    assert ran == [1]


def test_messages_with_one_key_run_once(subject: Subject) -> None:
    ran: list[tuple[int, str]] = []
    job = declare(subject, lambda order, word: ran.append((order, word)), idempotency_key="charge:{order}")
    subject.enqueue_many([job.message(1, "a"), job.message(2, "a"), job.message(1, "a")])

    with working(subject):
        wait(subject, lambda: duplicates(subject.broker) == 1, "the end of the duplicate")
        wait(subject, lambda: subject.counts() == (0, 0), "an empty queue")

    assert sorted(ran) == [(1, "a"), (2, "a")]


def test_the_same_key_with_other_arguments_is_a_conflict(subject: Subject) -> None:
    ran: list[str] = []
    job = declare(subject, lambda order, word: ran.append(word), idempotency_key="charge:{order}")
    subject.enqueue_many([job.message(1, "a"), job.message(1, "b")])

    with working(subject, threads=1):
        wait(subject, lambda: subject.counts() == (0, 1), "the dead letter")

    assert ran == ["a"]
    assert [dead.letter.reason for dead in subject.dead()] == ["conflict"]


def test_without_idempotency_copies_run(subject: Subject) -> None:
    ran: list[int] = []
    job = declare(subject, ran.append, idempotent=False)
    subject.enqueue_many([job.message(1)] * 3)

    with working(subject):
        wait(subject, lambda: len(ran) == 3, "all of them")
