"""A message that has failed is tried again, for as long as its policy says, and is then dead; it is never lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn

import dramatiq
import pytest
from dramatiq.errors import ConnectionClosed, Retry
from dramatiq.middleware import Interrupt, Middleware, Shutdown, TimeLimitExceeded

from actors import actor
from actors.decorator import Actor
from actors.testing import StubBroker, drain, enqueued
from middleware import FailedAttempt, Retries, Retryable, current
from middleware.failure import failure_of
from middleware.trail import retries_of, trail_of

BACKOFF_MS = 5_000

both_ways = pytest.mark.parametrize("idempotent", [True, False])


class Job:
    """An actor that fails as often as it is told to."""

    def __init__(self, failures: int = 10**6, error: BaseException | None = None) -> None:
        self.failures = failures
        self.error = error or ConnectionError("busy")
        self.numbers: list[int] = []

    def actor(self, **options: Any) -> Actor[..., None]:
        def charge(order_id: int = 0) -> None:
            self.numbers.append(current().number)
            if len(self.numbers) <= self.failures:
                raise self.error

        declared: Actor[..., None] = actor(**{"min_backoff": BACKOFF_MS, "max_backoff": BACKOFF_MS, **options})(charge)
        return declared


def drain_all() -> None:
    drain(with_delays=True, raises=False)


def letter_of(broker: StubBroker) -> dramatiq.MessageProxy:
    (letter,) = broker.dead_letters
    return letter


def by_whom(message: dramatiq.MessageProxy) -> list[str]:
    return [each["by"] for each in trail_of(message)]


@both_ways
@pytest.mark.parametrize(("options", "attempts"), [({}, 6), ({"max_retries": 2}, 3), ({"max_retries": 0}, 1)])
def test_a_message_is_tried_again_as_often_as_it_may_and_is_then_dead(
    stub_broker: StubBroker, idempotent: bool, options: dict[str, Any], attempts: int
) -> None:
    job = Job()
    message = job.actor(idempotent=idempotent, **options).send()
    drain_all()

    letter = letter_of(stub_broker)
    assert (letter.message_id, job.numbers) == (message.message_id, [*range(1, attempts + 1)])
    assert (failure_of(letter).reason, failure_of(letter).message) == ("exhausted", "busy")
    assert retries_of(letter) == len(trail_of(letter)) == attempts
    assert enqueued() == []


@both_ways
def test_a_message_that_succeeds_at_last_is_done(stub_broker: StubBroker, idempotent: bool) -> None:
    job = Job(failures=2)
    job.actor(idempotent=idempotent).send()
    drained = drain(with_delays=True, retries=True)

    assert (drained.done, drained.retried, job.numbers) == (1, 2, [1, 2, 3])
    assert (stub_broker.dead_letters, enqueued()) == ([], [])


def test_without_a_limit_a_message_is_tried_on_and_on(stub_broker: StubBroker) -> None:
    job = Job(failures=100)
    job.actor(max_retries=None).send()

    assert drain(with_delays=True, retries=True).retried == 100
    assert job.numbers[-1] == 101


@pytest.mark.parametrize(
    ("answer", "attempts"), [(True, 3), (None, 3), (timedelta(milliseconds=1), 3), (False, 1), ("yes", 1)]
)
def test_the_limit_holds_whatever_a_predicate_says(stub_broker: StubBroker, answer: Any, attempts: int) -> None:
    job = Job()
    job.actor(max_retries=2, retry_when=lambda retries, error: answer).send()
    drain_all()

    assert len(job.numbers) == attempts
    assert failure_of(letter_of(stub_broker)).reason == ("exhausted" if attempts == 3 else "predicate")


def test_a_predicate_can_not_lift_the_limit_of_its_message(stub_broker: StubBroker) -> None:
    class Meddling(Retryable):
        def decide(self, attempt: FailedAttempt) -> bool:
            attempt.message.options.update(max_retries=1_000, retries=0)
            return True

    job = Job()
    job.actor(max_retries=2, retry_when=Meddling()).send()
    drain_all()

    assert len(job.numbers) == 3


def test_a_predicate_that_can_not_be_asked_ends_the_message_and_says_why(stub_broker: StubBroker) -> None:
    def broken(retries: int, error: BaseException) -> NoReturn:
        raise KeyError("no such field")

    Job().actor(retry_when=broken).send()
    drain_all()

    letter, why = letter_of(stub_broker), "retry_when raised KeyError: 'no such field'"
    assert trail_of(letter)[-1]["why"] == why
    assert letter.options["traceback"].endswith(f"ConnectionError: busy\n{why}")
    assert (failure_of(letter).type, failure_of(letter).message) == ("ConnectionError", "busy")


@pytest.mark.parametrize(("delay", "waits_ms"), [(7_000, 7_000), (0, 0), (None, BACKOFF_MS)])
def test_a_job_says_when_it_wants_to_be_tried_again(stub_broker: StubBroker, delay: int | None, waits_ms: int) -> None:
    job = Job(failures=1, error=Retry("not yet", delay=delay))
    job.actor().send()
    drain(until_empty=False)

    (retry,) = enqueued()
    assert retry.delay == timedelta(milliseconds=waits_ms)
    assert drain(with_delays=True).done == 1


def test_what_a_job_asks_for_counts_against_its_limit(stub_broker: StubBroker) -> None:
    job = Job(error=Retry("not yet", delay=1))
    job.actor(max_retries=2).send()
    drain_all()

    assert len(job.numbers) == 3
    assert by_whom(letter_of(stub_broker)) == ["actor", "actor", "max_retries"]


@pytest.mark.parametrize("throws", [LookupError, (LookupError, OSError)])
@pytest.mark.parametrize("error", [LookupError("no"), KeyError("no")])
def test_an_error_that_is_expected_is_not_tried_again(
    stub_broker: StubBroker, throws: Any, error: BaseException
) -> None:
    job = Job(error=error)
    job.actor(throws=throws).send()
    drain_all()

    letter = letter_of(stub_broker)
    assert (job.numbers, by_whom(letter), retries_of(letter)) == ([1], ["throws"], 0)
    assert failure_of(letter).reason == "throws"


def test_an_error_that_is_not_expected_is(stub_broker: StubBroker) -> None:
    job = Job(failures=1)
    job.actor(throws=(LookupError, KeyError)).send()

    assert drain(with_delays=True, retries=True).done == 1


def test_a_message_has_limits_of_its_own(stub_broker: StubBroker) -> None:
    job = Job()
    charge = job.actor(max_retries=5)
    charge.send_with_options(max_retries=1, min_backoff=timedelta(seconds=1), max_backoff=1_500, jitter=False)
    drain(retries=True)

    (retry,) = enqueued()
    assert retry.delay == timedelta(seconds=1)
    drain_all()
    assert len(job.numbers) == 2


def test_a_retry_waits_between_the_bounds(stub_broker: StubBroker) -> None:
    job = Job()
    charge = job.actor(min_backoff=1_000, max_backoff=3_000, max_retries=1)
    for _ in range(50):
        charge.send()
    drain(retries=True)

    delays = [message.delay for message in enqueued()]
    assert timedelta(seconds=1) <= min(delays) < max(delays) <= timedelta(seconds=2)


def test_a_message_at_the_size_limit_is_tried_again_all_the_same(stub_broker: StubBroker) -> None:
    attempts: list[int] = []

    @actor(max_retries=3, min_backoff=1)
    def read(book: str) -> None:
        attempts.append(len(book))
        raise ValueError("x" * 1_000)

    overhead = len(read.message("").encode())
    read.send("x" * (stub_broker.max_message_bytes - overhead))
    drain_all()

    assert len(attempts) == 4
    assert failure_of(letter_of(stub_broker)).reason == "exhausted"


@both_ways
def test_a_retry_that_can_not_be_published_leaves_its_message_in_its_queue(
    stub_broker: StubBroker, monkeypatch: pytest.MonkeyPatch, idempotent: bool
) -> None:
    refusals = iter([ConnectionClosed("away")])
    enqueue = stub_broker.enqueue

    def refuse_once(message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
        for refusal in refusals:
            raise refusal
        return enqueue(message, delay=delay)

    job = Job(failures=1)
    job.actor(idempotent=idempotent).send()
    monkeypatch.setattr(stub_broker, "enqueue", refuse_once)
    first, again = drain(raises=False).attempts

    assert (first.outcome, again.outcome, stub_broker.dead_letters) == ("requeued", "done", [])
    assert first.message == again.message
    # Its record says that there was an attempt; without one nobody knows
    assert job.numbers == ([1, 2] if idempotent else [1, 1])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit(), BaseException("base")])
def test_what_would_end_a_thread_is_an_error_like_any_other(stub_broker: StubBroker, error: BaseException) -> None:
    job = Job(error=error)
    job.actor(max_retries=1).send()
    for _ in range(2):
        with pytest.raises(type(error)):
            drain(with_delays=True)

    assert len(job.numbers) == 2
    assert failure_of(letter_of(stub_broker)).type == type(error).__name__


@pytest.mark.parametrize(("error", "attempts"), [(Shutdown(), 3), (TimeLimitExceeded(), 1)])
def test_a_worker_that_stops_says_nothing_of_the_job(stub_broker: StubBroker, error: Interrupt, attempts: int) -> None:
    job = Job(error=error)
    job.actor(max_retries=2, retry_when=lambda retries, error: isinstance(error, ConnectionError)).send()
    drain_all()

    assert len(job.numbers) == attempts


def proxy(broker: StubBroker, error: BaseException) -> Any:
    """What a worker has taken and failed at."""
    Job().actor(retry_when=lambda retries, error: True).send()
    delivery = broker.take(broker.waiting()[0])
    delivery.stuff_exception(error)
    return delivery


@pytest.mark.parametrize(
    ("error", "requeued"),
    [(Shutdown(), True), (ConnectionClosed("away"), True), (TypeError("ours"), False), (SystemExit(), False)],
)
def test_an_attempt_that_nothing_follows_is_not_acked(
    stub_broker: StubBroker, error: BaseException, requeued: bool
) -> None:
    """A worker is interrupted while it asks, for example."""

    def ask(*_: object) -> bool:
        raise error

    message = proxy(stub_broker, ValueError("no"))
    with pytest.raises(type(error)):
        Retries(ask=ask).after_process_message(stub_broker, message, exception=ValueError("no"))

    assert (message.requeue, message.failed) == (requeued, not requeued)


def test_a_message_that_somebody_has_given_up_is_not_tried_again(stub_broker: StubBroker) -> None:
    class GiveUp(Middleware):
        def after_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, **_: Any) -> None:
            message.fail()

    stub_broker.add_middleware(GiveUp())
    job = Job()
    job.actor().send()
    drain_all()

    assert (len(job.numbers), trail_of(letter_of(stub_broker)), enqueued()) == (1, (), [])


def test_a_pipeline_goes_on_when_an_attempt_succeeds_at_last(stub_broker: StubBroker) -> None:
    shipped: list[Any] = []
    ship: Callable[..., Any] = actor(actor_name="ship")(lambda *receipts: shipped.append(receipts))
    charge: Any = Job(failures=1).actor(max_retries=1)
    dramatiq.pipeline([charge.message(1), ship.message()]).run()  # type: ignore[attr-defined]
    drain_all()

    assert shipped == [(None,)]
