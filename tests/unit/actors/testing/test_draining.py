from __future__ import annotations

import contextvars
import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import dramatiq
import pytest
from dramatiq.errors import ActorNotFound, BrokerConnectionError, QueueNotFound, Retry
from dramatiq.middleware import CurrentMessage, Middleware, SkipMessage, TimeLimitExceeded

from actors import actor
from actors.errors import StubError
from actors.testing import StubBroker, drain, enqueued

SECOND = timedelta(seconds=1)


class Flaky:
    """A function that fails as often as it is told to, and counts its calls."""

    def __init__(self, failures: int, error: BaseException | None = None) -> None:
        self.failures = failures
        self.error = error or ConnectionError("busy")
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error


def flaky(failures: int, error: BaseException | None = None, **options: Any) -> tuple[dramatiq.Actor[[], None], Flaky]:
    run = Flaky(failures, error)

    def flaky() -> None:
        run()

    return actor(**options)(flaky), run


def test_messages_run_in_this_thread_in_the_order_in_which_they_come_due(stub_broker: StubBroker) -> None:
    ran: list[tuple[str, int]] = []

    @actor(queue_name="a", priority=9)
    def first(number: int) -> None:
        ran.append((threading.current_thread().name, number))

    @actor(queue_name="b", priority=1)
    def second(number: int) -> None:
        ran.append((threading.current_thread().name, number))

    first.send_with_options(args=(5,), delay=2_000)
    second.send_with_options(args=(4,), delay=1_000)
    first.send(1)
    second.send(2)
    first.send(3)
    stub_broker.clock.advance(2 * SECOND)

    assert drain().done == 5
    assert ran == [(threading.current_thread().name, number) for number in (1, 2, 3, 4, 5)]
    assert enqueued() == []


def test_an_actor_gets_its_arguments_with_the_types_of_its_hints(stub_broker: StubBroker) -> None:
    received: list[object] = []

    @actor
    def charge(cents: Decimal, lines: Any) -> None:
        received.extend([cents, lines])

    charge.send(Decimal("9.90"), (1, 2))
    drain()

    assert received == [Decimal("9.90"), [1, 2]]


def test_an_async_actor_runs_to_its_end(stub_broker: StubBroker) -> None:
    @actor
    async def add(left: int, right: int) -> int:
        return left + right

    add.send(1, 2)

    assert drain().attempts[0].result == 3


def test_the_hooks_are_those_of_a_worker_in_its_order(stub_broker: StubBroker) -> None:
    heard: list[str] = []

    class Listener(Middleware):
        def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
            heard.append("before_process")

        def after_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, **_: Any) -> None:
            heard.append("after_process")

        def before_ack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
            heard.append("before_ack")

        def after_ack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
            heard.append("after_ack")

        def before_nack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
            heard.append("before_nack")

        def after_nack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
            heard.append("after_nack")

    stub_broker.add_middleware(Listener())

    @actor(max_retries=0)
    def charge(fails: bool) -> None:
        heard.append("run")
        if fails:
            raise ConnectionError

    charge.send(False)
    drain()
    assert heard == ["before_process", "run", "after_process", "before_ack", "after_ack"]

    heard.clear()
    charge.send(True)
    drain(raises=False)
    assert heard == ["before_process", "run", "after_process", "before_nack", "after_nack"]


def test_what_a_message_enqueues_runs_too(stub_broker: StubBroker) -> None:
    ran: list[int] = []

    @actor
    def countdown(left: int) -> None:
        ran.append(left)
        if left:
            countdown.send(left - 1)

    countdown.send(2)

    assert drain().done == 3
    assert ran == [2, 1, 0]


def test_what_a_message_enqueues_waits_when_only_the_present_is_asked_for(stub_broker: StubBroker) -> None:
    @actor
    def again() -> None:
        again.send()

    again.send()

    assert drain(until_empty=False).done == 1
    assert len(enqueued(again)) == 1


def test_a_message_that_enqueues_itself_for_ever_is_an_error(stub_broker: StubBroker) -> None:
    @actor
    def again() -> None:
        again.send()

    again.send()

    with pytest.raises(StubError, match=r"^not empty after 20 attempts; next is again\(\) on 'default'$"):
        drain(limit=20)


def test_a_queue_with_as_many_messages_as_the_limit_is_drained(stub_broker: StubBroker) -> None:
    fine, run = flaky(0)
    for _ in range(5):
        fine.send()

    assert drain(limit=5).done == run.calls == 5


def test_only_the_queues_that_are_named_are_drained(stub_broker: StubBroker) -> None:
    @actor(queue_name="mail")
    def mail() -> None: ...

    @actor(queue_name="money")
    def charge() -> None: ...

    mail.send()
    charge.send()

    assert drain("mail").done == 1
    assert [message.actor_name for message in enqueued()] == ["charge"]


def test_a_queue_that_no_actor_uses_is_an_error_with_a_hint(stub_broker: StubBroker) -> None:
    @actor(queue_name="mail")
    def mail() -> None: ...

    with pytest.raises(QueueNotFound, match=r"^no actor uses queue 'mial', did you mean 'mail'\?$"):
        drain("mial")


def test_a_delayed_message_waits_for_the_clock(stub_broker: StubBroker) -> None:
    fine, _ = flaky(0)
    fine.send_with_options(delay=timedelta(minutes=5))

    stub_broker.clock.advance(timedelta(minutes=4, seconds=59, milliseconds=999))
    assert drain().done == 0

    stub_broker.clock.advance(timedelta(milliseconds=1))
    assert drain().done == 1


def test_an_eta_is_due_when_the_clock_gets_there(stub_broker: StubBroker) -> None:
    fine, _ = flaky(0)
    nine = stub_broker.clock.now() + timedelta(days=2)
    fine.send_with_options(eta=nine)

    stub_broker.clock.travel_to(nine - SECOND * 10)
    assert drain().done == 0

    stub_broker.clock.travel_to(nine)
    assert drain().done == 1


def test_with_delays_the_clock_moves_on_to_each_due_time(stub_broker: StubBroker) -> None:
    start, ran = stub_broker.clock.now(), list[timedelta]()

    @actor
    def remind(times: int) -> None:
        ran.append(stub_broker.clock.now() - start)
        if times > 1:
            remind.send_with_options(args=(times - 1,), delay=timedelta(days=1))

    remind.send_with_options(args=(3,), delay=timedelta(hours=1))

    assert drain(with_delays=True).done == 3
    assert ran == [timedelta(hours=1), timedelta(days=1, hours=1), timedelta(days=2, hours=1)]


def test_the_error_of_an_actor_is_raised_with_its_own_traceback(stub_broker: StubBroker) -> None:
    failing, run = flaky(1)
    failing.send()

    with pytest.raises(ConnectionError, match="busy") as error:
        drain()

    assert error.value is run.error
    assert error.traceback[-1].name == "__call__"
    assert enqueued()[0].options["retries"] == 1


def test_a_retry_runs_when_the_clock_has_passed_its_backoff(stub_broker: StubBroker) -> None:
    failing, run = flaky(2, min_backoff=1_000, max_backoff=1_000)
    failing.send()

    drained = drain(retries=True)
    assert (drained.done, drained.failed, drained.retried, drained.dead) == (0, 1, 1, 0)
    assert drained.attempts[0].error is run.error

    drained = drain(retries=True, with_delays=True)
    assert (drained.done, drained.failed, run.calls) == (1, 1, 3)


def test_a_message_out_of_retries_is_raised_and_dead(stub_broker: StubBroker) -> None:
    failing, run = flaky(99, max_retries=2)
    message = failing.send()

    with pytest.raises(ConnectionError, match="busy"):
        drain(retries=True, with_delays=True)

    assert run.calls == 3
    assert [letter.message_id for letter in stub_broker.dead_letters] == [message.message_id]
    assert enqueued() == []


def test_errors_can_be_counted_instead_of_raised(stub_broker: StubBroker) -> None:
    fine, _ = flaky(0, actor_name="fine")
    retried, _ = flaky(1, actor_name="retried")
    dead, _ = flaky(1, actor_name="dead", max_retries=0)
    for each in (retried, dead, fine):
        each.send()

    drained = drain(raises=False)

    assert [(each.message.actor_name, each.outcome) for each in drained.attempts] == [
        ("retried", "retried"),
        ("dead", "dead"),
        ("fine", "done"),
    ]
    assert (drained.done, drained.failed, drained.retried, drained.dead, drained.skipped) == (1, 2, 1, 1, 0)


def test_to_ask_for_a_later_attempt_is_no_failure(stub_broker: StubBroker) -> None:
    asking, run = flaky(1, Retry("not yet", delay=30_000))
    asking.send()

    assert drain().retried == 1
    stub_broker.clock.advance(30 * SECOND)
    assert drain().done == 1
    assert run.calls == 2


def test_an_expected_error_is_dead_at_once(stub_broker: StubBroker) -> None:
    failing, run = flaky(1, throws=ConnectionError)
    failing.send()

    assert drain(raises=False).dead == 1
    assert run.calls == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), pytest.fail.Exception("no")])
def test_what_should_end_the_test_always_does(stub_broker: StubBroker, error: BaseException) -> None:
    failing, _ = flaky(1, error)
    failing.send()

    with pytest.raises(type(error)):
        drain(raises=False)


def test_an_interrupt_of_dramatiqs_is_an_error_like_any_other(stub_broker: StubBroker) -> None:
    failing, _ = flaky(1, TimeLimitExceeded())
    failing.send()

    assert drain(raises=False).retried == 1


def test_a_skipped_message_is_counted_and_gone(stub_broker: StubBroker) -> None:
    class Skip(Middleware):
        def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
            raise SkipMessage

    stub_broker.add_middleware(Skip())
    fine, run = flaky(0)
    fine.send()

    assert drain().skipped == 1
    assert (run.calls, enqueued(), stub_broker.dead_letters) == (0, [], [])


def test_a_message_whose_arguments_do_not_fit_is_dead_without_a_retry(stub_broker: StubBroker) -> None:
    @actor
    def charge(cents: Decimal) -> None:
        raise NotImplementedError

    charge.send_with_options(args=("much",))

    drained = drain(raises=False)
    assert (drained.dead, drained.retried) == (1, 0)
    assert str(drained.attempts[0].error) == "actor 'charge': cents: Input should be a valid decimal"


def test_a_message_of_an_unknown_actor_is_dead(stub_broker: StubBroker) -> None:
    message: dramatiq.Message[Any] = dramatiq.Message("default", "gone", (), {}, {})
    stub_broker.enqueue(message)

    with pytest.raises(ActorNotFound, match=r"^gone$"):
        drain()

    assert [letter.message_id for letter in stub_broker.dead_letters] == [message.message_id]


def test_a_dead_message_without_an_error_is_one(stub_broker: StubBroker) -> None:
    class Fail(Middleware):
        def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
            message.fail()

    stub_broker.add_middleware(Fail())
    fine, _ = flaky(0)
    fine.send()

    with pytest.raises(StubError, match=r"^dead-lettered without an error: flaky\(\) on 'default'$"):
        drain()


def test_a_message_whose_followers_could_not_be_sent_comes_again_but_does_not_run_again(
    stub_broker: StubBroker,
) -> None:
    class Away(Middleware):
        def after_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, **_: Any) -> None:
            raise BrokerConnectionError("away")

    stub_broker.add_middleware(Away())
    fine, run = flaky(0)
    fine.send()

    assert [attempt.outcome for attempt in drain().attempts] == ["requeued", "skipped"]
    assert run.calls == 1
    assert not enqueued()


def test_the_current_message_and_other_context_of_an_attempt_end_with_it(stub_broker: StubBroker) -> None:
    tenant = contextvars.ContextVar("tenant", default="none")
    tenant.set("of the test")
    seen: list[object] = []

    class Skip(Middleware):
        def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
            seen.append(CurrentMessage.get_current_message())
            raise SkipMessage

    @actor
    def charge() -> None:
        seen.append(tenant.get())
        tenant.set("of the actor")

    charge.send()
    drain()
    stub_broker.add_middleware(Skip())
    charge.send()
    drain()

    assert seen[0] == "of the test"
    assert seen[1] is not None
    assert tenant.get() == "of the test"
    assert CurrentMessage.get_current_message() is None
