"""The work of a key is committed together with the key, so that it is done once."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest
import time_machine

from actors import actor, assembly
from actors.testing import StubBroker, drain
from middleware import Inbox, current
from middleware.stores import MemoryStore, StoreUnavailable
from tests.unit.middleware.inbox.conftest import Shop, enter, fail, take

ShopInbox = Inbox[sqlite3.Connection]


def test_the_work_of_a_key_is_done_once(shop: Shop, inbox: ShopInbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="middleware.inbox")

    assert [enter(inbox), enter(inbox), enter(inbox, "order 2")] == [True, False, True]
    assert shop.taken == [1, 1]
    assert caplog.text.count("duplicate: key v1.") == 1


def test_a_transaction_that_is_rolled_back_leaves_neither_work_nor_key(shop: Shop, inbox: ShopInbox) -> None:
    with pytest.raises(ConnectionError):
        enter(inbox, "order 1", take, fail)

    assert (shop.taken, shop.entered) == ([], 0)
    assert enter(inbox)
    assert (shop.taken, shop.entered) == ([1], 1)


def test_another_process_that_has_entered_the_key_is_seen(shop: Shop, inbox: ShopInbox) -> None:
    assert enter(Inbox(shop.begin))
    assert not enter(inbox)


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_duplicate_waits_and_has_work_only_if_the_first_was_rolled_back(
    shop: Shop, inbox: ShopInbox, is_committed: bool
) -> None:
    # Given a second transaction that inserts the key while the first one works
    inserting, was_first = threading.Event(), list[bool]()

    @contextmanager
    def begin() -> Iterator[sqlite3.Connection]:
        with shop.begin() as connection:
            connection.set_trace_callback(lambda sql: inserting.set() if sql.startswith("INSERT") else None)
            yield connection

    duplicate = threading.Thread(
        target=lambda: was_first.append(enter(Inbox(begin), "order 1", partial(take, pieces=2)))
    )
    try:
        with inbox.enter("order 1") as entry:
            take(entry)
            duplicate.start()
            assert inserting.wait(10)
            assert was_first == []

            # When that ends
            if not is_committed:
                raise ConnectionError
    except ConnectionError:
        pass
    duplicate.join(20)

    # Then the work was done by one of them
    assert was_first == [not is_committed]
    assert shop.taken == ([1] if is_committed else [2])


def test_a_duplicate_that_waits_too_long_raises_and_has_done_nothing(shop: Shop, inbox: ShopInbox) -> None:
    impatient = Inbox(lambda: shop.begin(timeout=0))
    with inbox.enter("order 1") as entry:
        take(entry)
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            enter(impatient)

    assert not enter(impatient)
    assert shop.taken == [1]


def test_the_key_of_an_attempt_is_its_own_in_its_scope(shop: Shop, inbox: ShopInbox, stub_broker: StubBroker) -> None:
    @actor(idempotency_key="{order_id}", idempotency_ttl=1_000, lease=1_000)
    def reserve(order_id: int) -> None:
        enter(inbox, None)

    @actor(idempotency_key="{order_id}")
    def deliver(order_id: int) -> None:
        enter(inbox, None, partial(take, pieces=10))

    reserve.send(42)
    reserve.send(43)
    deliver.send(42)
    drain()
    # Its record is forgotten, and it comes again as another message
    stub_broker.clock.advance(timedelta(seconds=2))
    reserve.send(42)

    assert drain().done == 1
    assert sorted(shop.taken) == [1, 1, 10]


def test_a_key_is_entered_once_also_while_the_store_is_down(
    shop: Shop, inbox: ShopInbox, stub_broker: StubBroker
) -> None:
    class Down(MemoryStore):
        def exchange(self, *_: object) -> NoReturn:
            raise StoreUnavailable("it is down")

    @actor(idempotency_key="{order_id}", on_outage="run")
    def reserve(order_id: int) -> None:
        enter(inbox, None)

    reserve.send(42)
    drain()
    assembly.swap_store(Down())
    reserve.send(42)

    assert drain().done == 1
    assert shop.taken == [1]


def test_without_a_key_of_its_own_an_attempt_has_its_message_id(
    shop: Shop, inbox: ShopInbox, stub_broker: StubBroker
) -> None:
    @actor(idempotent=False)
    def reserve() -> None:
        enter(inbox, None)

    message = reserve.send()
    reserve.send()
    stub_broker.enqueue(message)

    assert drain().done == 3
    assert shop.taken == [1, 1]


def test_a_given_key_is_the_same_in_and_outside_of_actors(
    shop: Shop, inbox: ShopInbox, stub_broker: StubBroker
) -> None:
    @actor
    def reserve() -> None:
        enter(inbox, "order 1")

    reserve.send()
    drain()

    assert not enter(inbox, "order 1")
    assert shop.taken == [1]


def test_each_step_of_an_attempt_is_done_once(shop: Shop, inbox: ShopInbox, stub_broker: StubBroker) -> None:
    @actor(min_backoff=1)
    def reserve() -> None:
        enter(inbox, None)
        enter(inbox, current().downstream_key("wrap"), partial(take, pieces=2))
        if current().number == 1:
            raise ConnectionError
        enter(inbox, current().downstream_key("label"), partial(take, pieces=3))

    reserve.send()
    drain(retries=True, with_delays=True)

    assert shop.taken == [1, 2, 3]


def test_an_async_actor_enters_in_a_thread(shop: Shop, inbox: ShopInbox, stub_broker: StubBroker) -> None:
    @actor(idempotent=False)
    async def reserve() -> None:
        await asyncio.to_thread(enter, inbox, None)

    message = reserve.send()
    stub_broker.enqueue(message)
    drain()

    assert shop.taken == [1]


def test_keys_are_forgotten_when_they_are_old(shop: Shop, inbox: ShopInbox) -> None:
    with time_machine.travel("2026-11-20T09:00Z", tick=False) as clock:
        enter(inbox, "order 1")
        clock.shift(timedelta(hours=1))
        enter(inbox, "order 2")
        clock.shift(timedelta(hours=23))

        assert inbox.forget(older_than=timedelta(hours=24, milliseconds=1)) == 0
        assert inbox.forget(older_than=timedelta(hours=24)) == 1

    assert not enter(inbox, "order 2")
    assert enter(inbox, "order 1")


def test_tables_may_have_other_names(shop: Shop, stub_broker: StubBroker) -> None:
    inbox = Inbox(shop.begin, table="shop_inbox", outbox_table="main.shop_outbox")
    inbox.create_tables()
    inbox.create_tables()
    enter(inbox)

    assert len(shop.rows("SELECT * FROM shop_inbox")) == 1
    assert shop.rows("SELECT * FROM shop_outbox") == []


def test_tables_made_as_the_page_says_will_do(shop: Shop, stub_broker: StubBroker) -> None:
    page = (Path(__file__).parents[4] / "docs" / "inbox.md").read_text()
    statements = page.split("```sql\n")[1].split("```")[0]
    with shop.begin() as connection:
        connection.executescript(statements)

    @actor
    def ship() -> None: ...

    with Inbox(shop.begin).enter("order 1") as entry:
        entry.send(ship.message())
    assert (shop.entered, shop.unsent) == (1, 0)
    assert len(stub_broker.waiting()) == 1
