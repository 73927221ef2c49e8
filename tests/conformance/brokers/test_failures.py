"""How attempts that fail are tried again, and how they end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest

from middleware import current
from middleware.keys import digest
from middleware.stores import State
from tests.conformance.brokers.subject import Message, Subject, declare, wait, working
from tests.conformance.stores.subject import claim


def test_an_attempt_that_fails_is_followed_by_another_of_the_same_message(subject: Subject) -> None:
    ran: list[tuple[str, int]] = []

    def job() -> None:
        ran.append((current().message.message_id, current().number))
        if len(ran) < 3:
            raise ConnectionError

    message = declare(subject, job, min_backoff=10, max_backoff=20).send()
    with working(subject):
        wait(subject, lambda: len(ran) == 3, "the third attempt")

    assert ran == [(message.message_id, number) for number in (1, 2, 3)]
    assert subject.counts() == (0, 0)


def failing(error: BaseException) -> Callable[[int], None]:
    def job(number: int) -> None:
        raise error

    return job


def exhausted(subject: Subject) -> Message:
    return declare(subject, failing(LookupError("no")), max_retries=1, min_backoff=1, max_backoff=1).message(1)


def refused(subject: Subject) -> Message:
    return declare(subject, failing(ValueError("no")), retry_when=lambda attempt, error: False).message(1)


def thrown(subject: Subject) -> Message:
    return declare(subject, failing(KeyError("no")), throws=KeyError).message(1)


def expired(subject: Subject) -> Message:
    message = declare(subject, failing(KeyError("no")), max_age=1).message(1)
    return message.copy(message_timestamp=message.message_timestamp - 1_000)


def conflicting(subject: Subject) -> Message:
    job = declare(subject, lambda number: None, idempotency_key="order")
    claim(subject.store, key="order", scope="job", digest=digest("job", "order"), owner="another", fingerprint="other")
    return job.message(1)


def poisonous(subject: Subject) -> Message:
    message = declare(subject, lambda number: None, max_losses=1).message(1)
    name = message.message_id
    lost = claim(
        subject.store,
        key=name,
        scope="job",
        digest=digest("job", name),
        owner=name,
        lease_ms=1,
        ttl_ms=60_000,
        max_losses=1,
    )
    assert subject.store.mark(lost)
    return message


def unknown(subject: Subject) -> Message:
    subject.broker.declare_queue("default")
    return dramatiq.Message("default", "job", (1,), {}, {})


def undecodable(subject: Subject) -> Message:
    return declare(subject, lambda number: None).message(1).copy(options={"max_age": "1h"})


def too_large(subject: Subject) -> Message:
    job = declare(subject, lambda number: "x" * 5_000)
    after = declare(subject, lambda text: None, actor_name="after")
    message: Message = (job.message(1) | after.message()).messages[0]
    return message


CASES: list[tuple[Callable[[Subject], Message], str, str, int]] = [
    (exhausted, "exhausted", "LookupError", 2),
    (refused, "predicate", "ValueError", 1),
    (thrown, "throws", "KeyError", 1),
    (expired, "expired", "Expired", 0),
    (conflicting, "conflict", "Conflict", 0),
    (poisonous, "poison", "Poison", 0),
    (unknown, "unknown_actor", "ActorNotFound", 0),
    (undecodable, "undecodable", "InvalidPolicy", 0),
    (too_large, "too_large", "MessageTooLarge", 0),
]


@pytest.mark.parametrize(("make", "reason", "error_type", "attempts"), CASES, ids=[case[1] for case in CASES])
def test_a_dead_letter_says_why(
    make: Callable[[Subject], Message], reason: str, error_type: str, attempts: int, subject: Subject
) -> None:
    before = time.time_ns() // 1_000_000
    message = make(subject)
    subject.broker.enqueue(message)
    with working(subject):
        wait(subject, lambda: subject.counts() == (0, 1), "the dead letter")

    (dead,) = subject.dead()
    letter = dead.letter
    assert (letter.reason, letter.error_type, letter.attempts) == (reason, error_type, attempts)
    assert (letter.message_id, letter.actor, letter.queue) == (message.message_id, "job", "default")
    assert before <= letter.died <= before + 60_000
    body = dramatiq.Message.decode(dead.body)
    assert (body.message_id, body.args) == (message.message_id, message.args)
    assert body.options["failure"]["reason"] == reason
    assert body.options["traceback"]


def test_who_waits_for_the_end_of_a_message_is_told_once(subject: Subject) -> None:
    told: list[tuple[str, str]] = []

    def tell(message: dict[str, Any], outcome: Any) -> None:
        told.append((message["message_id"], outcome if isinstance(outcome, str) else outcome["reason"]))

    declare(subject, tell, actor_name="told")
    good = declare(subject, lambda: "done", actor_name="good", on_success="told").send()
    bad = declare(subject, failing(ValueError("no")), actor_name="bad", max_retries=0, on_failure="told").send(1)

    with working(subject):
        wait(subject, lambda: len(told) == 2, "both ends")
        wait(subject, lambda: subject.counts() == (0, 1), "an empty queue")

    assert sorted(told) == sorted([(good.message_id, "done"), (bad.message_id, "exhausted")])


def test_the_key_of_a_message_that_has_failed_for_good_is_closed_for_copies_of_it(subject: Subject) -> None:
    message = declare(subject, failing(ValueError("no")), max_retries=0).send(1)
    with working(subject):
        wait(subject, lambda: subject.counts() == (0, 1), "the dead letter")

    name = message.message_id
    record = subject.store.inspect(digest("job", name))
    assert record is not None
    assert (record.state, record.owner) == (State.FAILED, name)
