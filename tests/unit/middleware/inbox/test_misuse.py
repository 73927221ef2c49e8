"""What could lose work or do it twice is refused, and the error says what to do."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from typing import Any

import pytest

from actors import actor
from actors.testing import StubBroker, drain
from middleware import Inbox, InboxMisused, NoAttempt
from middleware.keys import InvalidKey
from tests.unit.middleware.inbox.conftest import Shop, enter, fail, take

ShopInbox = Inbox[sqlite3.Connection]


@pytest.fixture
def ship(stub_broker: StubBroker) -> Any:
    @actor
    def ship() -> None: ...

    return ship


def test_outside_of_actors_a_key_is_needed(inbox: ShopInbox) -> None:
    with pytest.raises(NoAttempt, match=r"^inbox: no actor runs here .* enter\(key=…\)$"), inbox.enter():
        pytest.fail("it was entered")


@pytest.mark.parametrize("key", ["", "x" * 1_025, 42])
def test_a_key_must_be_one(inbox: ShopInbox, key: Any) -> None:
    with pytest.raises(InvalidKey, match=r"^inbox: the key "), inbox.enter(key):
        pytest.fail("it was entered")


def test_a_second_block_of_an_attempt_needs_a_key_of_its_own(
    shop: Shop, inbox: ShopInbox, stub_broker: StubBroker
) -> None:
    @actor(max_retries=0)
    def reserve() -> None:
        for key in (None, "a step", None):
            enter(inbox, key)

    reserve.send()
    with pytest.raises(InboxMisused, match=r'enter\(key=current\(\)\.downstream_key\("step"\)\)$'):
        drain()
    assert shop.taken == [1, 1]


def test_an_attempt_may_try_again_what_was_rolled_back(shop: Shop, inbox: ShopInbox, stub_broker: StubBroker) -> None:
    @actor
    def reserve() -> None:
        for number in (1, 2):
            try:
                enter(inbox, None, partial(take, pieces=number), *([fail] if number == 1 else []))
            except ConnectionError:
                continue

    reserve.send()
    drain()
    assert shop.taken == [2]


@pytest.mark.parametrize("use", [lambda entry, _: entry.connection, lambda entry, ship: entry.send(ship.message())])
def test_a_duplicate_has_neither_connection_nor_outbox(
    shop: Shop, inbox: ShopInbox, ship: Any, use: Callable[..., object]
) -> None:
    enter(inbox)

    expected = r"entered before.* only if entry\.first is True$"
    with pytest.raises(InboxMisused, match=expected), inbox.enter("order 1") as entry:
        use(entry, ship)
    assert shop.unsent == 0


@pytest.mark.parametrize("fails", [True, False])
def test_after_its_block_an_entry_is_closed(shop: Shop, inbox: ShopInbox, ship: Any, fails: bool) -> None:
    try:
        with inbox.enter("order 1") as entry:
            if fails:
                raise ConnectionError
    except ConnectionError:
        pass

    with pytest.raises(InboxMisused, match="or its block is over"):
        entry.send(ship.message())
    with pytest.raises(InboxMisused, match="or its block is over"):
        _ = entry.connection


class Modern(sqlite3.Connection):
    autocommit = True  # as from Python 3.12 on, whatever the isolation level


@pytest.mark.parametrize("options", [{"isolation_level": None}, {"factory": Modern}])
def test_a_connection_that_commits_each_statement_is_refused_before_the_key_is_in(
    shop: Shop, inbox: ShopInbox, options: dict[str, Any]
) -> None:
    with pytest.raises(InboxMisused, match=r"without a transaction.* turn its autocommit off"):
        enter(Inbox(lambda: shop.begin(**options)))
    assert shop.entered == 0


def test_a_transaction_that_was_begun_by_hand_will_do(shop: Shop, inbox: ShopInbox) -> None:
    @contextmanager
    def begin() -> Iterator[sqlite3.Connection]:
        with shop.begin(isolation_level=None) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    assert enter(Inbox(begin))
    assert (shop.entered, shop.taken) == (1, [1])


@pytest.mark.parametrize(
    "end",
    [
        lambda connection: connection.commit(),
        lambda connection: connection.rollback(),
        lambda connection: connection.executescript("UPDATE stock SET pieces = 7"),
    ],
)
def test_a_block_that_ends_its_transaction_is_told(
    shop: Shop, inbox: ShopInbox, end: Callable[[sqlite3.Connection], None]
) -> None:
    with pytest.raises(InboxMisused, match=r"did not last until the end of the block.* leave the end to begin\(\)"):
        enter(inbox, "order 1", lambda entry: end(entry.connection), take)
    assert shop.taken == []


def test_a_begin_that_does_not_commit_is_found_out_at_once(shop: Shop, inbox: ShopInbox, ship: Any) -> None:
    forgetful = Inbox(lambda: closing(shop.connect()))
    with pytest.raises(InboxMisused, match=r"begin\(\) has not committed.* as that of engine\.begin does"):
        enter(forgetful)


def test_a_begin_that_has_stopped_to_commit_is_found_out_before_anything_is_sent(
    shop: Shop, inbox: ShopInbox, stub_broker: StubBroker, ship: Any
) -> None:
    begins: list[Callable[[], AbstractContextManager[sqlite3.Connection]]]
    begins = [shop.begin, shop.begin, lambda: closing(shop.connect()), shop.begin]
    inbox = Inbox(lambda: begins.pop(0)())
    enter(inbox)

    with pytest.raises(InboxMisused, match=r"begin\(\) has not committed"), inbox.enter("order 2") as entry:
        entry.send(ship.message())
    assert stub_broker.waiting() == []


@pytest.mark.parametrize("given", [None, object(), {"connection": None}])
def test_what_is_no_connection_is_refused(stub_broker: StubBroker, given: object) -> None:
    kind = f"{type(given).__module__}.{type(given).__qualname__}"
    expected = rf"^inbox: begin\(\) gave {kind}, not a connection of sqlite3, psycopg, .* must be the connection$"
    with pytest.raises(InboxMisused, match=expected), Inbox(lambda: nullcontext(given)).enter("order 1"):
        pytest.fail("it was entered")


def test_a_driver_that_does_not_count_rows_is_refused(shop: Shop, inbox: ShopInbox) -> None:
    class Cursor(sqlite3.Cursor):
        @property
        def rowcount(self) -> int:
            return -1

    class Connection(sqlite3.Connection):
        def cursor(self, *_: Any) -> Any:
            return Cursor(self)

    with pytest.raises(InboxMisused, match=r"says that -1 rows were inserted, not 0 or 1"):
        enter(Inbox(lambda: shop.begin(factory=Connection)))
    assert shop.entered == 0


def test_begin_must_be_a_function(shop: Shop) -> None:
    with closing(shop.connect()) as connection:
        for begin in (connection, "sqlite:///shop.db"):
            with pytest.raises(InboxMisused, match=r"is no function that opens a transaction, as engine\.begin is$"):
                Inbox(begin)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "in box", "a.b.c", "1st", "inbox; DROP TABLE stock", 'in"box'])
def test_a_table_must_have_a_plain_name(shop: Shop, name: str) -> None:
    for option in ("table", "outbox_table"):
        with pytest.raises(InboxMisused, match="can't name a table; use letters"):
            Inbox(shop.begin, **{option: name})  # type: ignore[arg-type]
