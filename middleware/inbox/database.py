"""The SQL database behind a user's connection: its dialect, its driver's placeholders, and its transaction."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

SQLITE, POSTGRESQL, MYSQL = "sqlite", "postgresql", "mysql"

# The dialect and the placeholder of each driver, by the package of its connections.
DRIVERS = {
    "sqlite3": (SQLITE, "?"),
    "psycopg": (POSTGRESQL, "%s"),
    "psycopg2": (POSTGRESQL, "%s"),
    "pg8000": (POSTGRESQL, "%s"),
    "pymysql": (MYSQL, "%s"),
    "mysql": (MYSQL, "%s"),
}
# A session of SQLAlchemy's has a connection, which has one of the pool's, which has the driver's. Django's has that.
_INNER = ("connection", "dbapi_connection")
_DEEPEST = 4

_AUTOCOMMIT = (
    "inbox: begin() gave a connection without a transaction, so that each statement would be committed by itself; "
    "turn its autocommit off, or begin a transaction there"
)


class InboxMisused(RuntimeError):
    """The inbox is used in a way in which it could not keep its word."""


class Database:
    """Runs statements on a user's connection, in the transaction that is open there.

    A statement has a ``?`` for each value, and the names of tables in braces.

    Args:
        connection: one of a known driver, of SQLAlchemy (also a session), or of Django.
        tables: what the names in braces stand for.

    Attributes:
        dialect: what the database understands.

    Raises:
        InboxMisused: *connection* is none of these.
    """

    def __init__(self, connection: object, tables: Mapping[str, str]) -> None:
        self._connection, driver = _driven(connection)
        self.dialect, self._placeholder = DRIVERS[driver]
        self._tables = tables

    def execute(self, sql: str, *values: object) -> int:
        """Run *sql*; return how many rows it has changed."""
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(self._translated(sql), values)
            return int(cursor.rowcount)

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of *sql*."""
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(self._translated(sql), values)
            # Many drivers let the user choose what a row is.
            return [tuple(row.values() if isinstance(row, Mapping) else row) for row in cursor.fetchall()]

    def require_transaction(self) -> None:
        """Do nothing, if the next statement is part of a transaction.

        Raises:
            InboxMisused: it would be committed by itself.
        """
        if self.dialect == SQLITE:
            # Where there is no transaction a savepoint would begin one.
            if not (self._connection.in_transaction or _begins_by_itself(self._connection)):
                raise InboxMisused(_AUTOCOMMIT)
            return
        try:
            # PostgreSQL refuses the first of the two, MySQL forgets it by the second.
            self.execute("SAVEPOINT actors_inbox")
            self.execute("RELEASE SAVEPOINT actors_inbox")
        except Exception as error:
            raise InboxMisused(f"{_AUTOCOMMIT} ({type(error).__name__}: {error})") from error

    @contextmanager
    def one_transaction(self) -> Iterator[None]:
        """See that the transaction at the end of the block is that of its start, and can be committed.

        Raises:
            InboxMisused: the block has ended it; or an error was caught there after which PostgreSQL makes a rollback
                of a commit, and does not say so.
        """
        self.execute("SAVEPOINT actors_inbox")
        yield
        try:
            self.execute("RELEASE SAVEPOINT actors_inbox")
        except Exception as error:
            raise InboxMisused(
                "inbox: the transaction did not last until the end of the block, because of a commit, a rollback or "
                "an error of the database that was caught there; leave the end to begin(), and put a savepoint around "
                f"what may fail ({type(error).__name__}: {error})"
            ) from error

    def _translated(self, sql: str) -> str:
        return sql.format_map(self._tables).replace("?", self._placeholder)


def _begins_by_itself(connection: Any) -> bool:
    """Return whether a connection of sqlite3's begins a transaction before a statement that writes."""
    # From Python 3.12 on it has two other modes, in which this is a bool.
    return getattr(connection, "autocommit", -1) == -1 and connection.isolation_level is not None


def _driven(connection: object) -> tuple[Any, str]:
    """Return the driver's own connection, and the name of its driver."""
    inner: Any = connection
    for _ in range(_DEEPEST):
        for kind in inner.__class__.__mro__:
            driver = kind.__module__.partition(".")[0]
            if driver in DRIVERS:
                return inner, driver
        inner = next((getattr(inner, name) for name in _INNER if hasattr(inner, name)), None)
        # Not callable(): a connection of sqlite3's is.
        if inspect.ismethod(inner):
            inner = inner()
    kind = type(connection)
    raise InboxMisused(
        f"inbox: begin() gave {kind.__module__}.{kind.__qualname__}, not a connection of {', '.join(DRIVERS)}, "
        "nor one of SQLAlchemy's or Django's over these; what its context manager gives must be the connection"
    )
