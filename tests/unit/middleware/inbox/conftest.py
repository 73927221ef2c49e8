"""A shop's SQLite database, in a file, and the inbox in it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.testing import StubBroker
from middleware import Entry, Inbox


class Shop:
    """A database of which every transaction has its own connection."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.begin() as connection:
            connection.execute("CREATE TABLE stock (pieces INTEGER)")

    @contextmanager
    def begin(self, **options: Any) -> Iterator[sqlite3.Connection]:
        with closing(self.connect(**options)) as connection, connection:
            yield connection

    def connect(self, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3.connect(self.path, **{"timeout": 20, **options})
        return connection

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(self.connect()) as connection:
            return connection.execute(sql).fetchall()

    @property
    def taken(self) -> list[int]:
        return [pieces for (pieces,) in self.rows("SELECT pieces FROM stock")]

    @property
    def entered(self) -> int:
        return len(self.rows("SELECT * FROM actors_inbox"))

    @property
    def unsent(self) -> int:
        return len(self.rows("SELECT * FROM actors_outbox"))


def take(entry: Entry[sqlite3.Connection], pieces: int = 1) -> None:
    entry.connection.execute("INSERT INTO stock VALUES (?)", (pieces,))


def fail(entry: Entry[sqlite3.Connection]) -> None:
    raise ConnectionError


def enter(
    inbox: Inbox[sqlite3.Connection],
    key: str | None = "order 1",
    *work: Callable[[Entry[sqlite3.Connection]], object],
) -> bool:
    """Do *work* for *key*, or take one piece, if nobody has; return whether this was the time."""
    with inbox.enter(key) as entry:
        if entry.first:
            for each in work or (take,):
                each(entry)
    return entry.first


def sent(broker: StubBroker) -> list[str]:
    """The ids of the messages that wait in the broker."""
    return [broker.describe(entry).message_id for entry in broker.waiting()]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop.db")


@pytest.fixture
def inbox(shop: Shop, stub_broker: StubBroker) -> Inbox[sqlite3.Connection]:
    inbox = Inbox(shop.begin)
    inbox.create_tables()
    return inbox
