"""What other producers put there, and what other workers leave."""

from __future__ import annotations

from typing import Any

import pytest
from dramatiq.middleware import CurrentMessage

from actors.brokers.dispatch import Dispatch
from middleware import Letter, current
from tests.conformance.brokers.subject import SharedSubject, declare, wait, working

NOT_MESSAGES = [
    b"",
    b"\xff\xfe",
    b"[]",
    b'{"queue_name": "default"}',
    b'{"queue_name": 1, "actor_name": "job", "args": [], "kwargs": {}, "options": {}, "message_id": "a",'
    b' "message_timestamp": 0}',
]


@pytest.mark.parametrize("body", NOT_MESSAGES)
def test_what_cannot_be_decoded_is_a_dead_letter_byte_for_byte_and_the_next_message_runs(
    body: bytes, shared: SharedSubject
) -> None:
    ran: list[int] = []
    job = declare(shared, ran.append)
    shared.publish(body, "its-id")
    job.send(1)

    with working(shared, threads=1):
        wait(shared, lambda: ran == [1], "the next message")
        wait(shared, lambda: shared.counts() == (0, 1), "the dead letter")

    (dead,) = shared.dead()
    assert dead.body == body
    assert (dead.letter.reason, dead.letter.message_id, dead.letter.queue) == ("undecodable", "its-id", "default")


def test_a_message_of_another_queue_name_runs_and_its_thread_lives(shared: SharedSubject) -> None:
    ran: list[int] = []
    job = declare(shared, ran.append)
    foreign = job.message(1).copy(queue_name="elsewhere")
    shared.publish(foreign.encode(), foreign.message_id)

    with working(shared, threads=1):
        wait(shared, lambda: ran == [1], "the foreign message")
        job.send(2)
        wait(shared, lambda: ran == [1, 2], "the next message, on the same thread")
    assert shared.counts() == (0, 0)


def test_what_a_lost_worker_had_runs_and_is_known_to_have_been_delivered_before(shared: SharedSubject) -> None:
    redelivered: dict[int, bool] = {}

    def job(number: int) -> None:
        redelivered[number] = getattr(CurrentMessage.get_current_message(), "redelivered")  # noqa: B009

    actor = declare(shared, job)
    shared.enqueue_many(actor.message(number) for number in range(3))
    shared.lose(2)

    with working(shared):
        wait(shared, lambda: len(redelivered) == 3, "all three")

    assert redelivered == {0: True, 1: True, 2: False}
    assert shared.counts() == (0, 0)


def test_what_has_cost_a_worker_knows_that_it_may_have_run(shared: SharedSubject) -> None:
    # Given an unguarded message, of whose start nobody keeps a record
    ran: list[bool] = []
    job = declare(shared, lambda: ran.append(current().maybe_ran), idempotent=False)
    job.send()
    shared.lose(1)

    with working(shared):
        wait(shared, lambda: ran, "the job")

    assert ran == [True]


def test_a_higher_priority_runs_first(prioritized: SharedSubject) -> None:
    ran: list[str] = []
    job = declare(prioritized, ran.append)
    for name, priority in (("a", None), ("b", 5), ("c", 1), ("d", 5), ("e", 0)):
        options: dict[str, Any] = {} if priority is None else {"broker_priority": priority}
        job.send_with_options(args=(name,), **options)

    with working(prioritized, threads=1):
        wait(prioritized, lambda: len(ran) == 5, "all jobs")

    assert ran == ["b", "d", "c", "a", "e"]


def test_each_dead_letter_is_reported_once(shared: SharedSubject, caplog: pytest.LogCaptureFixture) -> None:
    job = declare(shared, lambda: 1 / 0, max_retries=0)
    for _ in range(3):
        job.send()
    with working(shared):
        wait(shared, lambda: shared.counts() == (0, 3), "three dead letters")

    broker: Dispatch = shared.broker
    wait(shared, lambda: broker.dead_letter.counts["exhausted"] == 3, "their reports")
    said = [record for record in caplog.records if record.name == "middleware.dead_letter"]
    letters = [Letter.from_header(vars(record)["dead_letter"]) for record in said]
    assert sorted(letters, key=str) == sorted((dead.letter for dead in shared.dead()), key=str)
