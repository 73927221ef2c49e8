from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import dramatiq
import pytest

from actors import Actor, actor
from actors.errors import ArgumentsError, StubError
from actors.testing import StubBroker, assert_enqueued, assert_not_enqueued, drain, enqueued

ORDER = UUID("12345678-1234-5678-1234-567812345678")
Charge = Actor[..., None]
Refund = Actor[[int], None]


@pytest.fixture
def charge(stub_broker: StubBroker) -> Charge:
    @actor(queue_name="money")
    def charge(order: UUID, cents: Decimal = Decimal(0)) -> None: ...

    return charge


@pytest.fixture
def refund(stub_broker: StubBroker) -> Refund:
    @actor
    def refund(order: int) -> None: ...

    return refund


def test_an_enqueued_message_shows_what_its_actor_will_get(charge: Charge) -> None:
    message = charge.send_with_options(args=(ORDER,), kwargs={"cents": Decimal("9.90")}, max_retries=0, delay=1_500)

    (seen,) = enqueued()

    assert (seen.actor_name, seen.queue_name, seen.message_id) == ("charge", "money", message.message_id)
    assert (seen.args, seen.kwargs) == ((ORDER, Decimal("9.90")), {})
    assert seen.options == {"max_retries": 0, "due": pytest.approx(seen.eta.timestamp() * 1000, abs=10_000)}
    assert seen.delay == timedelta(milliseconds=1_500)
    assert abs(seen.eta - datetime.now(UTC) - seen.delay) < timedelta(seconds=10)


def test_messages_are_listed_by_actor_and_queue_in_the_order_in_which_they_become_due(
    charge: Charge, refund: Refund
) -> None:
    refund.send_with_options(args=(3,), delay=2)
    refund.send_with_options(args=(2,), delay=1)
    refund.send(1)
    charge.send(ORDER)

    assert [message.args for message in enqueued(refund)] == [(1,), (2,), (3,)]
    assert enqueued(queue="money") == enqueued(charge) != []
    assert len(enqueued()) == 4


def test_arguments_that_do_not_fit_their_hints_are_shown_as_json_has_them(charge: Charge) -> None:
    charge.send_with_options(args=("no uuid",))

    assert enqueued()[0].args == ("no uuid",)


def test_a_message_of_an_unknown_actor_is_shown_as_json_has_it(stub_broker: StubBroker) -> None:
    stub_broker.enqueue(
        dramatiq.Message(queue_name="q", actor_name="gone", args=(date(2026, 1, 1),), kwargs={}, options={})
    )

    assert [(message.actor_name, message.args) for message in enqueued()] == [("gone", ("2026-01-01",))]


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (None, None),
        ((ORDER, Decimal("9.90")), None),
        ((ORDER, Decimal("9.9")), {}),
        ([ORDER], {"cents": Decimal("9.90")}),
        (None, {"order": ORDER, "cents": Decimal("9.90")}),
        ((str(ORDER), "9.90"), None),
        ((ORDER, pytest.approx(Decimal(9), abs=1)), None),
    ],
)
def test_a_call_is_the_same_however_its_arguments_are_passed(charge: Charge, args: Any, kwargs: Any) -> None:
    charge.send(ORDER, cents=Decimal("9.90"))

    assert assert_enqueued(charge, args=args, kwargs=kwargs) == enqueued()


def test_a_default_is_an_argument_too(charge: Charge) -> None:
    charge.send(ORDER)

    assert_enqueued(charge, args=(ORDER, Decimal(0)))
    assert_not_enqueued(charge, args=(ORDER, Decimal(1)))


def test_a_tuple_is_expected_as_it_was_sent_though_it_comes_as_a_list(stub_broker: StubBroker) -> None:
    @actor
    def index(lines: Any) -> None: ...

    index.send([("a", 1), ("b", 2)])

    assert_enqueued(index, args=([("a", 1), ("b", 2)],))
    assert enqueued()[0].args == ([["a", 1], ["b", 2]],)


def test_queue_delay_eta_and_count_are_expected_where_they_are_given(refund: Refund) -> None:
    nine = datetime.now(UTC) + timedelta(hours=1)
    refund.send_with_options(args=(1,), eta=nine)
    refund.send_with_options(args=(2,), delay=timedelta(milliseconds=1, microseconds=1))
    refund.send(3)

    assert_enqueued(refund, queue="default", count=3)
    assert_enqueued(refund, eta=nine, count=1)
    assert_enqueued(refund, args=(2,), delay=2)
    assert_enqueued(refund, args=(2,), delay=timedelta(milliseconds=1, microseconds=1))
    assert_enqueued(refund, args=(3,), delay=0)
    assert_enqueued(refund, delay=5, count=0)
    assert_not_enqueued(refund, queue="money")
    assert_not_enqueued(refund, eta=nine + timedelta(seconds=2))


def test_an_eta_is_that_of_the_application_wherever_the_clock_is(refund: Refund, stub_broker: StubBroker) -> None:
    stub_broker.clock.advance(timedelta(days=365))
    nine = datetime.now(UTC) + timedelta(hours=1)

    refund.send_with_options(args=(1,), eta=nine)

    assert_enqueued(refund, eta=nine)


def failure(act: Callable[[], object]) -> list[str]:
    with pytest.raises(AssertionError) as error:
        act()
    return str(error.value).splitlines()


def test_a_failure_lists_what_is_enqueued_instead_closest_first(charge: Charge, refund: Refund) -> None:
    refund.send(42)
    charge.send(UUID(int=0), Decimal(1))
    charge.send_with_options(args=(ORDER, Decimal(2)), delay=60_000)

    assert failure(lambda: assert_enqueued(charge, args=(ORDER, Decimal(1)), queue="money")) == [
        f"charge({ORDER!r}, Decimal('1')) on 'money' is not enqueued; instead, closest first:",
        f"  charge({ORDER!r}, Decimal('2')) on 'money', in 0:01:00",
        f"  charge({UUID(int=0)!r}, Decimal('1')) on 'money'",
        "  refund(42) on 'default'",
    ]


def test_a_failure_names_every_expectation(refund: Refund) -> None:
    nine = datetime(2100, 1, 1, 9, tzinfo=UTC)

    assert failure(lambda: assert_enqueued(refund, queue="money", delay=1_000)) == [
        "refund(…) on 'money', in 0:00:01 is not enqueued, nor is anything else"
    ]
    assert failure(lambda: assert_enqueued(refund, args=(1,), eta=nine, delay=0)) == [
        "refund(1), at once, at 2100-01-01T09:00:00+00:00 is not enqueued, nor is anything else"
    ]


def test_a_wrong_count_fails_with_both_numbers(refund: Refund) -> None:
    refund.send(1)
    refund.send(2)

    assert failure(lambda: assert_enqueued(refund, count=1)) == [
        "refund(…): 2 enqueued, not 1; closest first:",
        "  refund(1) on 'default'",
        "  refund(2) on 'default'",
    ]


def test_a_failure_lists_ten_messages_and_counts_the_others(refund: Refund) -> None:
    for order in range(12):
        refund.send(order)

    lines = failure(lambda: assert_enqueued(refund, args=(99,)))

    assert len(lines) == 12
    assert lines[-1] == "  and 2 more"


def test_what_should_not_be_enqueued_fails_with_all_that_is(charge: Charge, refund: Refund) -> None:
    assert_not_enqueued()
    refund.send(1)
    assert_not_enqueued(charge)
    charge.send(ORDER)

    assert failure(lambda: assert_not_enqueued(refund)) == ["refund(…) is enqueued:", "  refund(1) on 'default'"]
    assert failure(assert_not_enqueued)[0] == "a message is enqueued:"
    assert len(failure(assert_not_enqueued)) == 3


def test_what_has_run_is_no_longer_enqueued(refund: Refund) -> None:
    refund.send(1)

    drain()

    assert_not_enqueued(refund)


def test_an_expectation_that_no_message_could_meet_is_refused(refund: Refund) -> None:
    with pytest.raises(ArgumentsError, match=r"^actor 'refund': missing a required argument: 'order'$"):
        assert_enqueued(refund, args=())
    with pytest.raises(ArgumentsError, match=r"^eta=2026-01-01T09:00:00 has no time zone; "):
        assert_not_enqueued(refund, eta=datetime(2026, 1, 1, 9))
    with pytest.raises(ArgumentsError, match=r"^args= and kwargs= are an actor's; name it$"):
        assert_not_enqueued(args=(1,))


def test_without_a_stub_broker_the_helpers_say_how_to_get_one() -> None:
    for act in (enqueued, assert_not_enqueued, drain):
        with pytest.raises(StubError, match=r"^no stub broker is in place; take the pytest fixture stub_broker, or "):
            act()
