"""A message that could have started too long ago does not start, whatever has become of it meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dramatiq
import pytest
import time_machine

from actors import actor, assembly
from actors.testing import StubBroker, drain, enqueued
from middleware import FailedAttempt, Retryable
from middleware.failure import failure_of
from middleware.keys import digest
from tests.conformance.stores.subject import claim
from tests.unit.middleware import foreign

START = datetime(2026, 1, 1, tzinfo=UTC)
START_MS = int(START.timestamp()) * 1_000
MINUTE_MS = 60_000
NO_TIMES: list[Any] = [None, "x", [], {}, True, -1, 10**30]


class Time:
    """That of the machine and that of the stub broker, which stand still together."""

    def __init__(self, machine: time_machine.Traveller, broker: StubBroker) -> None:
        self._machine = machine
        self._broker = broker

    def step(self, ms: int) -> None:
        """Let the machine's clock jump."""
        self._machine.shift(timedelta(milliseconds=ms))

    def pass_(self, ms: int) -> None:
        self.step(ms)
        self._broker.clock.advance(timedelta(milliseconds=ms))


@pytest.fixture
def time(stub_broker: StubBroker) -> Iterator[Time]:
    with time_machine.travel(START, tick=False) as machine:
        stub_broker.clock.travel_to(START)
        yield Time(machine, stub_broker)


@pytest.fixture
def ran(stub_broker: StubBroker) -> list[int]:
    return []


@pytest.fixture
def declare(time: Time, ran: list[int]) -> Callable[..., Any]:
    """Declares actor ``charge``, which notes that it ran, and fails as often as it is told to."""

    def declare(failures: int = 0, **options: Any) -> Any:
        def charge() -> None:
            ran.append(len(ran) + 1)
            if len(ran) <= failures:
                raise ConnectionError("busy")

        return actor(**{"min_backoff": 1_000, "max_backoff": 1_000, **options})(charge)

    return declare


def reasons(broker: StubBroker) -> list[str]:
    return [failure_of(letter).reason for letter in broker.dead_letters]


def aged(age_ms: int = 0, **options: Any) -> dramatiq.Message[Any]:
    return dramatiq.Message("default", "charge", (), {}, options, message_timestamp=START_MS - age_ms)


@pytest.mark.parametrize(("age_ms", "runs"), [(0, True), (59_999, True), (60_000, False), (10**9, False)])
def test_a_message_runs_as_long_as_it_is_young_enough(
    stub_broker: StubBroker, declare: Any, ran: list[int], age_ms: int, runs: bool
) -> None:
    declare(max_age=MINUTE_MS)
    message = stub_broker.enqueue(aged(age_ms))
    drain(raises=False)

    assert (ran == [1], reasons(stub_broker)) == (runs, [] if runs else ["expired"])
    for letter in stub_broker.dead_letters:
        assert (
            failure_of(letter).message == f"message {message.message_id} is {age_ms:,} ms old, and max_age is 60,000 ms"
        )


@pytest.mark.parametrize(
    ("own", "runs"), [({"max_age": 2_000}, True), ({"max_age": None}, True), ({"max_age": 1_000}, False)]
)
def test_a_message_has_a_limit_of_its_own(
    stub_broker: StubBroker, declare: Any, ran: list[int], own: dict[str, Any], runs: bool
) -> None:
    declare(max_age=1)
    stub_broker.enqueue(aged(1_500, **own))
    drain(raises=False)

    assert (ran == [1]) is runs


def test_a_message_without_a_limit_runs_however_old(declare: Any, stub_broker: StubBroker, ran: list[int]) -> None:
    declare()
    stub_broker.enqueue(aged(START_MS))

    assert (drain().done, ran) == (1, [1])


@pytest.mark.parametrize(("late_ms", "runs"), [(0, True), (59_999, True), (60_000, False)])
def test_a_message_does_not_age_before_it_is_due(
    stub_broker: StubBroker, declare: Any, time: Time, ran: list[int], late_ms: int, runs: bool
) -> None:
    declare(max_age=MINUTE_MS).send_with_options(delay=timedelta(hours=1))
    time.pass_(3_600_000 + late_ms)
    drain(raises=False)

    assert (ran == [1]) is runs


def test_nor_does_one_that_comes_from_where_its_actor_is_not_known(
    stub_broker: StubBroker, declare: Any, time: Time, ran: list[int]
) -> None:
    stub_broker.enqueue(aged(), delay=3_600_000)
    declare(max_age=MINUTE_MS)
    time.pass_(3_600_000)

    assert drain().done == 1


def test_a_retry_does_not_make_a_message_younger(stub_broker: StubBroker, declare: Any, time: Time) -> None:
    declare(9, max_age=3_000).send()
    for _ in range(3):
        drain(raises=False)
        time.pass_(1_000)

    assert reasons(stub_broker) == ["expired"]
    trail = stub_broker.dead_letters[0].options["attempts"]
    assert [(each["by"], each.get("delay")) for each in trail] == [
        ("policy", 1_000),
        ("policy", 1_000),
        ("max_age", None),
    ]
    assert trail[-1]["why"] == "the next attempt, in 1,000 ms, would be beyond max_age=3,000 ms"


def test_a_retry_of_a_delayed_message_ages_from_when_that_was_due(
    stub_broker: StubBroker, declare: Any, time: Time, ran: list[int]
) -> None:
    declare(9, max_age=1_500).send_with_options(delay=10_000)
    for ms in (10_000, 1_000):
        time.pass_(ms)
        drain(raises=False)

    assert (ran, reasons(stub_broker)) == ([1, 2], ["expired"])


def test_a_retry_that_waits_too_long_in_its_queue_does_not_start(
    stub_broker: StubBroker, declare: Any, time: Time, ran: list[int]
) -> None:
    declare(9, max_age=MINUTE_MS).send()
    drain(raises=False)
    time.pass_(MINUTE_MS)
    drain(raises=False)

    assert (ran, reasons(stub_broker)) == ([1], ["expired"])


def test_a_message_that_waits_for_its_key_grows_old(
    stub_broker: StubBroker, declare: Any, time: Time, ran: list[int]
) -> None:
    charge = declare(max_age=3_000, on_duplicate="wait", idempotency_key="order")
    claim(assembly.store(), key="order", digest=digest("charge", "order"), owner="another", lease_ms=3_000)
    charge.send()
    for _ in range(4):
        drain(raises=False)
        time.pass_(1_000)

    assert (ran, reasons(stub_broker), enqueued()) == ([], ["expired"], [])


@pytest.mark.parametrize("due", [*NO_TIMES, "yesterday", str(START_MS), float("nan"), float("inf")])
@pytest.mark.parametrize(("age_ms", "runs"), [(59_999, True), (60_000, False)])
def test_what_is_no_due_time_leaves_the_age_to_the_time_of_the_message(
    stub_broker: StubBroker, declare: Any, ran: list[int], due: object, age_ms: int, runs: bool
) -> None:
    declare(1, max_age=2 * MINUTE_MS)
    foreign.send(stub_broker, aged(age_ms, due=due, max_age=MINUTE_MS))
    drain(raises=False)

    assert (ran == [1]) is runs
    assert len(enqueued()) + len(stub_broker.dead_letters) == 1


@pytest.mark.parametrize("timestamp", NO_TIMES)
def test_a_message_that_has_no_time_is_older_than_any_limit(
    stub_broker: StubBroker, declare: Any, ran: list[int], timestamp: Any
) -> None:
    declare(1)
    message: dramatiq.Message[Any] = dramatiq.Message("default", "charge", (), {}, {}, message_timestamp=timestamp)
    foreign.send(stub_broker, message.copy(options={"max_age": 10 * 366 * 86_400_000}))
    foreign.send(stub_broker, message.copy(message_id="without a limit"))
    drain(raises=False)

    # Without a limit it runs, and is tried again when that fails
    assert (ran, reasons(stub_broker)) == ([1], ["expired"])
    assert [each.message_id for each in enqueued()] == ["without a limit"]


@pytest.mark.parametrize("max_age", ["1h", 0, -1, 1.5, True, [], 10**30])
def test_what_is_no_limit_does_not_let_a_message_run_without_one(
    stub_broker: StubBroker, declare: Any, ran: list[int], max_age: object
) -> None:
    declare(max_age=MINUTE_MS)
    foreign.send(stub_broker, aged(max_age=max_age))
    drain(raises=False)

    assert (ran, reasons(stub_broker)) == ([], ["undecodable"])
    assert failure_of(stub_broker.dead_letters[0]).message.startswith(
        f"actor 'charge': max_age={max_age!r} must be an int"
    )


def test_a_message_from_the_future_is_young(stub_broker: StubBroker, declare: Any, time: Time, ran: list[int]) -> None:
    """The clocks of its sender and of its worker differ, or one has been set back."""
    charge = declare(max_age=1_000)
    charge.send()
    charge.send_with_options(delay=5_000)
    time.step(-3_600_000)
    stub_broker.clock.advance(timedelta(seconds=5))

    assert drain().done == 2


class Seen(Retryable):
    def __init__(self) -> None:
        self.ages: list[timedelta] = []

    def decide(self, attempt: FailedAttempt) -> None:
        self.ages.append(attempt.age)


@pytest.mark.parametrize("options", [{}, {"max_age": 3_600_000}])
def test_a_predicate_is_told_the_age_with_or_without_a_limit(
    stub_broker: StubBroker, declare: Any, time: Time, options: dict[str, Any]
) -> None:
    seen = Seen()
    declare(2, retry_when=seen, **options).send_with_options(delay=10_000)
    time.pass_(10_500)
    drain(raises=False)
    time.pass_(1_000)
    drain(raises=False)

    assert seen.ages == [timedelta(seconds=0.5), timedelta(seconds=1.5)]
