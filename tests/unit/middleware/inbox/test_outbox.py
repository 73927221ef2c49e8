"""Messages are stored in the transaction, and sent after its commit, whoever dies in between."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date, timedelta
from typing import Any

import dramatiq
import pytest
import time_machine
from dramatiq.errors import ConnectionClosed

from actors import actor
from actors.errors import MessageTooLarge, NotEncodable
from actors.testing import StubBroker, drain
from middleware import Inbox
from middleware.keys import InvalidKey
from tests.unit.middleware.inbox.conftest import Shop, enter, fail, sent, take

ShopInbox = Inbox[sqlite3.Connection]
Ship = Callable[..., dramatiq.Message[Any]]


@pytest.fixture
def shipped() -> list[int]:
    return []


@pytest.fixture
def ship(stub_broker: StubBroker, shipped: list[int]) -> Ship:
    """Make a message of ``ship``, an actor that notes what it has shipped."""

    @actor
    def ship(order_id: int) -> None:
        shipped.append(order_id)

    return ship.message


class Away:
    """A broker that can't be reached, or does not take some messages."""

    def __init__(self, broker: StubBroker, refuse: Callable[[dramatiq.Message[Any]], Exception | None]) -> None:
        self._broker = broker
        self._refuse = refuse
        self.delays: list[int | None] = []

    def __call__(self) -> Any:
        return self

    def emit_before(self, *args: Any) -> None:
        self._broker.emit_before(*args)

    def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
        error = self._refuse(message)
        if error is not None:
            raise error
        self.delays.append(delay)
        return self._broker.enqueue(message, delay=delay)


def away(message: dramatiq.Message[Any]) -> Exception:
    return ConnectionClosed("the broker is away")


def test_what_is_stored_is_sent_after_the_commit(
    shop: Shop, inbox: ShopInbox, stub_broker: StubBroker, ship: Ship, shipped: list[int]
) -> None:
    with inbox.enter("order 1") as entry:
        messages = [entry.send(ship(order_id)) for order_id in (1, 2, 3)]
        assert (shop.entered, sent(stub_broker)) == (0, [])

    assert sent(stub_broker) == [message.message_id for message in messages]
    assert (shop.entered, shop.unsent) == (1, 0)
    drain()
    assert shipped == [1, 2, 3]


def test_nothing_is_sent_of_what_is_rolled_back(
    shop: Shop, inbox: ShopInbox, stub_broker: StubBroker, ship: Ship
) -> None:
    with pytest.raises(ConnectionError):
        enter(inbox, "order 1", lambda entry: entry.send(ship(1)), fail)

    enter(inbox, "order 2")
    assert inbox.forward(older_than=timedelta(0)) == 0
    assert (sent(stub_broker), shop.unsent) == ([], 0)


def test_what_could_not_be_sent_is_sent_by_the_next_attempt_with_the_same_ids(
    shop: Shop, inbox: ShopInbox, stub_broker: StubBroker, ship: Ship
) -> None:
    stored: list[str] = []
    cut_off = Inbox(shop.begin, broker=Away(stub_broker, away))
    enter(inbox, "an earlier one")

    @actor(min_backoff=1)
    def reserve() -> None:
        with (inbox if stored else cut_off).enter() as entry:
            if entry.first:
                stored.extend(entry.send(ship(order_id)).message_id for order_id in (1, 2))

    reserve.send()
    first = drain(raises=False, until_empty=False)
    assert (first.retried, shop.entered, shop.unsent) == (1, 2, 2)

    drain(with_delays=True, until_empty=False)
    assert (sent(stub_broker), shop.unsent) == (stored, 0)
    enter(inbox, "another")
    assert sent(stub_broker) == stored


def test_an_entry_without_messages_is_one_transaction(shop: Shop, inbox: ShopInbox, ship: Ship) -> None:
    opened: list[str] = []

    def begin() -> AbstractContextManager[sqlite3.Connection]:
        opened.append("transaction")
        return shop.begin()

    counted = Inbox(begin)
    enter(counted, "the first one, which shows that begin commits")
    opened.clear()

    enter(counted, "order 1")
    assert len(opened) == 1
    enter(counted, "order 2", lambda entry: entry.send(ship(2)))
    assert len(opened) == 1 + 3


def test_what_was_sent_and_not_noted_is_sent_again_and_runs_once(
    shop: Shop, inbox: ShopInbox, stub_broker: StubBroker, ship: Ship, shipped: list[int]
) -> None:
    # Given a process that dies between its sends and the note of them
    opened: list[AbstractContextManager[sqlite3.Connection]] = []

    @contextmanager
    def begin() -> Iterator[sqlite3.Connection]:
        opened.append(shop.begin())
        if len(opened) == 3:
            raise KeyboardInterrupt
        with opened[-1] as connection:
            yield connection

    with pytest.raises(KeyboardInterrupt), Inbox(begin).enter("order 1") as entry:
        message = entry.send(ship(1))
    assert (sent(stub_broker), shop.unsent) == ([message.message_id], 1)

    # When the key is entered again
    with inbox.enter("order 1") as entry:
        assert not entry.first

    # Then there is a copy, which does not run, and no third one follows
    assert (sent(stub_broker), shop.unsent) == ([message.message_id] * 2, 0)
    with inbox.enter("order 1"):
        pass
    drained = drain()
    assert (drained.done, drained.skipped, shipped) == (1, 1, [1])


def test_a_message_that_comes_back_is_as_it_was_stored(inbox: ShopInbox, stub_broker: StubBroker) -> None:
    seen: list[object] = []

    @actor(idempotency_key="{day:%Y-%m}", queue_name="books")
    def close(day: date, note: str) -> None:
        seen.append((day, note))

    with inbox.enter("order 1") as entry:
        # The key is made of a date: what comes back from the database is its text.
        message = entry.send(close.message_with_options(args=(date(2026, 1, 31), "订单 – 😀"), max_retries=7))

    (waiting,) = map(stub_broker.describe, stub_broker.waiting())
    assert (waiting.message_id, waiting.queue_name) == (message.message_id, "books")
    assert waiting.options == {"max_retries": 7, "idempotency_key": "2026-01"}
    drain()
    assert seen == [(date(2026, 1, 31), "订单 – 😀")]


def test_a_message_that_could_never_be_sent_is_refused_while_the_work_can_be_rolled_back(
    shop: Shop, inbox: ShopInbox, stub_broker: StubBroker
) -> None:
    @actor(idempotency_key="{order_id}")
    def ship(order_id: str, note: object = None) -> None: ...

    with pytest.raises(NotEncodable):
        enter(inbox, "order 1", take, lambda entry: entry.send(ship.message("1", object())))
    with pytest.raises(InvalidKey):
        enter(inbox, "order 1", take, lambda entry: entry.send(ship.message("")))

    assert (shop.taken, shop.entered, shop.unsent) == ([], 0, 0)


@pytest.mark.parametrize(
    ("delay", "left_ms"),
    [
        (timedelta(hours=1), 40 * 60_000),
        (3_600_000, 40 * 60_000),
        (timedelta(minutes=10), None),
        (0, None),
        (None, None),
    ],
)
def test_a_delay_begins_when_the_message_is_stored(
    shop: Shop,
    inbox: ShopInbox,
    stub_broker: StubBroker,
    ship: Ship,
    delay: timedelta | int | None,
    left_ms: int | None,
) -> None:
    cut_off = Inbox(shop.begin, broker=Away(stub_broker, away))
    broker = Away(stub_broker, lambda message: None)
    with time_machine.travel("2026-11-20T09:00Z", tick=False) as clock:
        with pytest.raises(ConnectionClosed), cut_off.enter("order 1") as entry:
            entry.send(ship(1), delay=delay)
        clock.shift(timedelta(minutes=20))
        Inbox(shop.begin, broker=broker).forward()

    assert broker.delays == [left_ms]


def test_forward_sends_what_nobody_comes_back_for(
    shop: Shop, inbox: ShopInbox, stub_broker: StubBroker, ship: Ship
) -> None:
    cut_off = Inbox(shop.begin, broker=Away(stub_broker, away))
    ids = []
    with time_machine.travel("2026-11-20T09:00Z", tick=False) as clock:
        for minute in range(3):
            with pytest.raises(ConnectionClosed), cut_off.enter(f"order {minute}") as entry:
                ids += [entry.send(ship(minute)).message_id, entry.send(ship(minute)).message_id]
            clock.shift(timedelta(minutes=1))

        assert inbox.forward(older_than=timedelta(minutes=2)) == 4
        assert sorted(sent(stub_broker)) == sorted(ids[:4])
        assert inbox.forward() == 2
        assert inbox.forward(older_than=timedelta(0)) == 0

    assert sorted(sent(stub_broker)) == sorted(ids)


def test_forward_stops_at_a_broker_that_is_away(
    shop: Shop, inbox: ShopInbox, stub_broker: StubBroker, ship: Ship
) -> None:
    tried: list[str] = []

    def refuse(message: dramatiq.Message[Any]) -> Exception:
        tried.append(message.message_id)
        return away(message)

    cut_off = Inbox(shop.begin, broker=Away(stub_broker, refuse))
    for key in ("order 1", "order 2"):
        with pytest.raises(ConnectionClosed), cut_off.enter(key) as entry:
            entry.send(ship(1))
    tried.clear()

    with pytest.raises(ConnectionClosed):
        cut_off.forward(older_than=timedelta(0))
    assert (len(tried), shop.unsent) == (1, 2)


def test_what_can_not_be_sent_does_not_hold_up_the_rest(
    shop: Shop, inbox: ShopInbox, stub_broker: StubBroker, ship: Ship
) -> None:
    cut_off = Inbox(shop.begin, broker=Away(stub_broker, away))
    for order_id in (1, 2, 3):
        with pytest.raises(ConnectionClosed), cut_off.enter(f"order {order_id}") as entry:
            entry.send(ship(order_id))

    picky = Inbox(shop.begin, broker=Away(stub_broker, lambda message: ValueError() if message.args == (2,) else None))
    with pytest.raises(ExceptionGroup, match="some messages can't be sent") as raised:
        picky.forward(older_than=timedelta(0))

    assert [type(error) for error in raised.value.exceptions] == [ValueError]
    assert (len(sent(stub_broker)), shop.unsent) == (2, 1)


def test_a_key_is_not_forgotten_while_it_has_something_to_send(
    shop: Shop, inbox: ShopInbox, stub_broker: StubBroker, ship: Ship
) -> None:
    cut_off = Inbox(shop.begin, broker=Away(stub_broker, away))
    with pytest.raises(ConnectionClosed), cut_off.enter("order 1") as entry:
        entry.send(ship(1))

    assert inbox.forget(older_than=timedelta(0)) == 0
    assert inbox.forward(older_than=timedelta(0)) == 1
    assert inbox.forget(older_than=timedelta(0)) == 1


def test_a_message_that_is_too_large_is_refused_before_the_commit(shop: Shop, inbox: ShopInbox) -> None:
    @actor
    def store(text: str) -> None: ...

    with pytest.raises(MessageTooLarge):
        enter(inbox, "order 1", take, lambda entry: entry.send(store.message("x" * 200_000)))

    assert (shop.taken, shop.entered, shop.unsent) == ([], 0, 0)
