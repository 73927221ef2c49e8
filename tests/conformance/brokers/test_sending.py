"""What is sent, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actors.errors import MessageTooLarge, NotEncodable
from tests.conformance.brokers.subject import Message, Subject, declare, wait, working


def test_a_message_runs_with_its_arguments_and_is_gone(subject: Subject) -> None:
    ran: list[tuple[int, str]] = []
    job = declare(subject, lambda number, *, word: ran.append((number, word)))

    job.send(1, word="ß\u2028")

    assert subject.counts() == (1, 0)
    with working(subject):
        wait(subject, lambda: ran, "the job")
    assert ran == [(1, "ß\u2028")]
    assert subject.counts() == (0, 0)


def test_messages_run_in_the_order_in_which_they_were_sent(subject: Subject) -> None:
    ran: list[int] = []
    job = declare(subject, ran.append)
    job.send(0)

    sent = subject.enqueue_many(job.message(number) for number in range(1, 1_205))

    assert len(sent) == 1_204
    with working(subject, threads=1):
        wait(subject, lambda: len(ran) == 1_205, "all jobs")
    assert ran == list(range(1_205))


def test_each_queue_is_its_own(subject: Subject) -> None:
    ran: list[str] = []
    first = declare(subject, ran.append, actor_name="first", queue_name="one")
    second = declare(subject, ran.append, actor_name="second", queue_name="two")
    first.send("first")
    second.send("second")
    second.send("third")

    assert (subject.counts("one"), subject.counts("two")) == ((1, 0), (2, 0))
    with working(subject):
        wait(subject, lambda: sorted(ran) == ["first", "second", "third"], "all jobs")


Refused = Callable[[Callable[..., Message]], Message]


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        pytest.param(lambda message: message(object()), NotEncodable, id="not encodable"),
        pytest.param(lambda message: message("x" * 5_000), MessageTooLarge, id="too large"),
    ],
)
def test_what_cannot_be_sent_is_refused_and_not_there(
    refused: Refused, error: type[Exception], subject: Subject
) -> None:
    job = declare(subject, lambda argument: None)

    with pytest.raises(error, match="job"):
        subject.broker.enqueue(refused(job.message))

    assert subject.counts() == (0, 0)
