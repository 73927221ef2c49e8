"""What becomes of a message that has failed, or waits to be tried again, when it or another comes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq.errors import Retry
from dramatiq.middleware import Middleware, SkipMessage

from actors import actor, assembly
from actors.decorator import Actor
from actors.testing import StubBroker, drain, enqueued
from middleware.failure import Failure
from middleware.keys import digest
from middleware.stores import Record
from tests.conformance.stores.subject import claim, extended

KEY = digest("charge", "order")
BACKOFF_MS = 5_000


class Failing:
    """An actor that fails as often as it is told to, and all messages of which have one key."""

    def __init__(self, failures: int = 99, error: BaseException | None = None) -> None:
        self.failures = failures
        self.error = error or ConnectionError("busy")
        self.calls = 0

    def actor(self, **options: Any) -> Actor[..., None]:
        def charge(number: int = 0) -> None:
            self.calls += 1
            if self.calls <= self.failures:
                raise self.error

        options = {"min_backoff": BACKOFF_MS, "max_backoff": BACKOFF_MS, **options}
        return actor(idempotency_key="order", **options)(charge)


def record() -> Record:
    found = assembly.store().inspect(KEY)
    assert found is not None
    return found


def test_a_message_that_failed_for_good_is_dead_lettered_again_when_it_comes_again(stub_broker: StubBroker) -> None:
    failing = Failing()
    message = failing.actor(max_retries=1).send()
    drain(raises=False, with_delays=True)
    stub_broker.enqueue(message)

    assert drain(raises=False).dead == 1
    first, again = stub_broker.dead_letters
    assert (first.message_id, again.message_id, failing.calls) == (message.message_id, message.message_id, 2)
    assert again.options["retries"] == record().retries == 2
    assert again.options["traceback"].startswith("idempotency key 'order': failed before: ")
    assert "busy" in again.options["traceback"]


def test_a_final_failure_frees_the_key_for_other_messages(stub_broker: StubBroker) -> None:
    failing = Failing(1)
    charge = failing.actor(max_retries=0)
    charge.send(1)
    drain(raises=False)
    charge.send(2)

    assert (drain().done, failing.calls) == (1, 2)


def test_a_final_failure_can_hold_the_key(stub_broker: StubBroker) -> None:
    failing = Failing()
    charge = failing.actor(max_retries=0, on_failed="hold")
    charge.send()
    drain(raises=False)
    charge.send()

    assert [attempt.outcome for attempt in drain().attempts] == ["skipped"]
    assert (failing.calls, len(stub_broker.dead_letters)) == (1, 1)


def test_a_failed_message_that_is_replayed_runs_again(stub_broker: StubBroker) -> None:
    failing = Failing(1)
    message = failing.actor(max_retries=0).send()
    drain(raises=False)
    assembly.store().release(KEY)
    stub_broker.enqueue(message)

    assert (drain().done, failing.calls) == (1, 2)


def test_a_copy_of_an_earlier_attempt_counts_as_the_one_that_is_due(stub_broker: StubBroker) -> None:
    # Given a message and a copy of it, of which the first has failed
    failing = Failing()
    message = failing.actor(max_retries=2).send()
    stub_broker.enqueue(message)

    # When both go their ways to the end
    drained = drain(raises=False, with_delays=True)

    # Then they have made the attempts of one message, and one of them waits for no one
    assert failing.calls == 3
    assert {letter.options["retries"] for letter in stub_broker.dead_letters} == {3}
    assert drained.retried == 2
    assert enqueued() == []


@pytest.mark.parametrize("copies", [2, 5])
def test_copies_never_make_more_attempts_than_one_message_may(stub_broker: StubBroker, copies: int) -> None:
    failing = Failing()
    message = failing.actor(max_retries=3).send()
    for number in range(copies):
        stub_broker.enqueue(message, delay=number * BACKOFF_MS // 2)

    drain(raises=False, with_delays=True)

    assert failing.calls == 4


def test_a_copy_of_a_message_that_waits_for_its_retry_waits_as_long(stub_broker: StubBroker) -> None:
    failing = Failing(1)
    message = failing.actor().send()
    drain(retries=True)
    (retry,) = enqueued()
    stub_broker.enqueue(message)

    drain()

    # A second early, since it may be the one that is due.
    copy, _ = enqueued()
    assert (copy.options.get("retries", 0), retry.options["retries"]) == (0, 1)
    assert copy.delay == retry.delay - timedelta(seconds=1) + timedelta(milliseconds=1)
    assert (drain(with_delays=True).done, failing.calls) == (1, 2)


def test_another_message_does_not_run_while_the_first_waits_for_its_retry(stub_broker: StubBroker) -> None:
    failing = Failing(1)
    charge = failing.actor()
    charge.send(0)
    drain(retries=True)
    charge.send(0)

    assert [attempt.outcome for attempt in drain().attempts] == ["skipped"]
    assert (drain(with_delays=True).done, failing.calls) == (1, 2)


def test_another_message_that_waits_runs_once_the_first_has_failed_for_good(stub_broker: StubBroker) -> None:
    failing = Failing(2)
    charge = failing.actor(max_retries=1, on_duplicate="wait")
    first = charge.send(0)
    drain(retries=True)
    second = charge.send(0)

    drained = drain(raises=False, with_delays=True)

    ran = [each.message.message_id for each in drained.attempts if each.outcome != "skipped"]
    assert ran == [first.message_id, second.message_id]
    assert [each.outcome for each in drained.attempts][-1] == "done"


def test_a_retry_that_is_asked_for_at_once_runs_at_once(stub_broker: StubBroker) -> None:
    failing = Failing(1, Retry("again", delay=0))
    failing.actor().send()

    assert (drain().done, failing.calls) == (1, 2)


def test_an_expected_error_is_recorded_as_final(stub_broker: StubBroker) -> None:
    Failing(error=LookupError("no such order")).actor(throws=LookupError).send()
    drain(raises=False)

    assert (record().state, Failure.from_text(record().error)) == (
        "failed",
        Failure("throws", "LookupError", "no such order"),
    )


def test_a_message_that_grew_too_old_before_it_could_start_is_recorded_as_failed(stub_broker: StubBroker) -> None:
    failing = Failing()
    charge = failing.actor(max_age=1)
    message = charge.message()
    message = message.copy(message_timestamp=message.message_timestamp - 1_000)
    stub_broker.enqueue(message)

    assert drain(raises=False).dead == 1
    assert (record().state, record().owner, failing.calls) == ("failed", message.message_id, 0)


class Skip(Middleware):
    def __init__(self) -> None:
        self.skips = True

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        if self.skips:
            raise SkipMessage("not today")


def test_the_key_of_a_message_that_another_middleware_skips_is_free_again(stub_broker: StubBroker) -> None:
    skip = Skip()
    stub_broker.add_middleware(skip)
    failing = Failing(0)
    charge = failing.actor()
    message = charge.send()
    assert drain().skipped == 1

    skip.skips = False
    stub_broker.enqueue(message)
    assert (drain().done, failing.calls) == (1, 1)


def test_a_middleware_that_fails_before_an_attempt_does_not_stop_it(stub_broker: StubBroker) -> None:
    class Broken(Middleware):
        def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
            raise ValueError("mine")

    stub_broker.add_middleware(Broken())
    failing = Failing(0)
    failing.actor().send()

    assert (drain().done, record().state) == (1, "done")


def test_a_failure_whose_retry_can_not_be_decided_is_recorded_as_final(stub_broker: StubBroker) -> None:
    def undecided(retries: int, error: BaseException) -> bool:
        raise TypeError("a retry_when that raises")

    failing = Failing()
    message = failing.actor(retry_when=undecided).send()

    assert drain(raises=False).dead == 1
    assert (record().state, failing.calls, enqueued()) == ("failed", 1, [])
    stub_broker.enqueue(message)
    assert (drain(raises=False).dead, failing.calls) == (1, 1)


def test_a_success_whose_next_message_can_never_be_sent_is_recorded_as_failed(stub_broker: StubBroker) -> None:
    @actor(idempotency_key="order")
    def charge() -> str:
        return "x" * assembly.settings().max_message_bytes

    @actor
    def ship(*receipts: str) -> None:
        raise NotImplementedError

    dramatiq.pipeline([charge.message(), ship.message()]).run()

    assert drain(raises=False).dead == 1
    assert (record().state, enqueued()) == ("failed", [])


def test_what_another_holds_is_not_ended_by_who_is_refused(stub_broker: StubBroker) -> None:
    holder = claim(assembly.store(), key="order", digest=KEY, owner="another")
    Failing(0).actor().send()
    drain()

    assert assembly.store().renew([extended(holder, 60_000)]) == [True]
