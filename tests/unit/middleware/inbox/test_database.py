"""The inbox finds the driver behind what the user has for a connection, and speaks its dialect."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from actors import actor
from actors.testing import StubBroker, drain
from middleware import Inbox
from tests.unit.middleware.inbox.conftest import Shop


def as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip([column for column, *_ in cursor.description], row, strict=True))


class Fairy:
    """As SQLAlchemy's pool hands a driver's connection out."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.dbapi_connection = connection


class Connection:
    """As SQLAlchemy's connections are."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = Fairy(connection)


class Session:
    """As SQLAlchemy's sessions are."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def connection(self) -> Connection:
        return Connection(self._connection)


class DatabaseWrapper:
    """As Django's connections are."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection


# docs/inbox.md has Django itself; SQLAlchemy was tried by hand.
@pytest.mark.parametrize("wrap", [Connection, Session, DatabaseWrapper])
@pytest.mark.parametrize("row_factory", [None, sqlite3.Row, as_dict])
def test_connections_of_the_shapes_of_sqlalchemy_and_django_are_known_whatever_their_rows_are(
    shop: Shop, inbox: Inbox[Any], stub_broker: StubBroker, wrap: Any, row_factory: Any
) -> None:
    @actor
    def ship() -> None: ...

    @contextmanager
    def begin() -> Iterator[Any]:
        with shop.begin() as connection:
            connection.row_factory = row_factory
            yield wrap(connection)

    wrapped = Inbox(begin)
    for _ in range(2):
        with wrapped.enter("order 1") as entry:
            if entry.first:
                assert type(entry.connection) is wrap
                entry.send(ship.message())

    assert (shop.entered, shop.unsent) == (1, 0)
    assert drain().done == 1


class Recorded:
    """A connection that notes what it is told; as if the key was new."""

    rowcount = 1

    def __init__(self) -> None:
        self.told: list[str] = []

    def cursor(self) -> "Recorded":
        return self

    def execute(self, sql: str, values: tuple[object, ...]) -> None:
        assert sql.count("%s") == len(values)
        self.told.append(sql.replace("%s", "_"))

    def fetchall(self) -> list[tuple[object, ...]]:
        return [("v1.",)] if "actors_inbox" in self.told[-1] else []

    def close(self) -> None: ...


# What the servers answer was tried by hand, with the versions that docs/inbox.md names.
@pytest.mark.parametrize(
    ("package", "insert"),
    [
        ("psycopg", "INSERT INTO actors_inbox (digest, entered_at) VALUES (_, _) ON CONFLICT (digest) DO NOTHING"),
        ("pymysql.connections", "INSERT IGNORE INTO actors_inbox (digest, entered_at) VALUES (_, _)"),
    ],
)
def test_postgresql_and_mysql_are_asked_whether_a_transaction_is_open_before_the_key_is_inserted(
    stub_broker: StubBroker, package: str, insert: str
) -> None:
    recorded = type("Connection", (Recorded,), {"__module__": package})()

    @contextmanager
    def begin() -> Iterator[Any]:
        yield recorded
        recorded.told.append("COMMIT")

    with Inbox(begin).enter("order 1"):
        recorded.told.append("work")

    savepoint, release = "SAVEPOINT actors_inbox", "RELEASE SAVEPOINT actors_inbox"
    assert recorded.told[:7] == [savepoint, release, insert, savepoint, "work", release, "COMMIT"]


def test_tables_of_mysql_take_long_messages_of_any_language(stub_broker: StubBroker) -> None:
    recorded = type("Connection", (Recorded,), {"__module__": "pymysql.connections"})()

    @contextmanager
    def begin() -> Iterator[Any]:
        yield recorded

    Inbox(begin).create_tables()
    inbox, outbox = recorded.told
    assert "message MEDIUMTEXT NOT NULL" in outbox
    assert all(each.endswith("ENGINE=InnoDB CHARACTER SET utf8mb4") for each in (inbox, outbox))
