"""Does the work of a key once in the user's own SQL database, whoever dies in the middle."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import partial
from typing import Generic, TypeVar

import dramatiq

from middleware import keys
from middleware.attempt import Attempt, NoAttempt, current
from middleware.inbox.database import MYSQL, Database, InboxMisused
from middleware.inbox.entry import Entry
from middleware.inbox.outbox import Outbox, now_ms
from middleware.options import milliseconds

C = TypeVar("C")

log = logging.getLogger(__name__)

_TABLES = (
    "CREATE TABLE IF NOT EXISTS {inbox} (digest VARCHAR(64) NOT NULL PRIMARY KEY, entered_at BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS {outbox} (digest VARCHAR(64) NOT NULL, position INTEGER NOT NULL, due_at BIGINT,"
    " message TEXT NOT NULL, PRIMARY KEY (digest, position))",
)
_ENTER = "INSERT INTO {inbox} (digest, entered_at) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING"
# ON DUPLICATE KEY UPDATE counts a row either way where CLIENT.FOUND_ROWS is set, as SQLAlchemy and Django do.
_ENTER_MYSQL = "INSERT IGNORE INTO {inbox} (digest, entered_at) VALUES (?, ?)"
_FORGET = "DELETE FROM {inbox} WHERE entered_at <= ? AND digest NOT IN (SELECT digest FROM {outbox})"


class Inbox(Generic[C]):
    """Keeps keys in the very transactions that do their work, and with them the messages that are to follow.

    The key is inserted first. A second transaction with it waits there for the end of this one, and has work to do only
    if this one was rolled back. The messages are sent after the commit; those that a process could not send before it
    died are sent when its own message comes again, with the same ids.

    Args:
        begin: called for a transaction: a context manager that gives the connection, commits at the end of its block,
            and rolls back where that raises; such as the ``begin`` of SQLAlchemy's engine or ``sessionmaker``.
        table: where the keys are.
        outbox_table: where the messages are that are not sent yet.
        broker: called for the broker that sends them.

    Raises:
        InboxMisused: one of these can't be used.
    """

    def __init__(
        self,
        begin: Callable[[], AbstractContextManager[C]],
        *,
        table: str = "actors_inbox",
        outbox_table: str = "actors_outbox",
        broker: Callable[[], dramatiq.Broker] = dramatiq.get_broker,
    ) -> None:
        _check(begin, table, outbox_table)
        self._begin = begin
        self._tables = {"inbox": table, "outbox": outbox_table}
        self._outbox = Outbox(self._transaction, broker)
        self._begin_commits = False
        self._last: ContextVar[Attempt | None] = ContextVar("inbox", default=None)

    @contextmanager
    def enter(self, key: str | None = None) -> Iterator[Entry[C]]:
        """Open a transaction and insert a key there; after the block commit it, and send what was stored.

        Args:
            key: unique in the table. Default the key of the attempt that runs here, in its scope. A second step of one
                attempt needs its own: ``current().downstream_key("step")``.

        Raises:
            NoAttempt: no *key* is given, and no actor runs here.
            InboxMisused: the work could be lost or done twice; the text says why.
            InvalidKey: *key* can't be one.
        """
        attempt = self._attempt() if key is None else None
        digest = _digest(attempt) if attempt is not None else keys.digest("", keys.check_key(key, "inbox"))
        with self._begin() as connection:
            database = Database(connection, self._tables)
            database.require_transaction()
            first = _insert(database, digest)
            entry = Entry(connection, first=first, store=partial(self._outbox.store, database, digest))
            try:
                with database.one_transaction():
                    yield entry
            finally:
                entry.close()
        if not first:
            log.info("duplicate: key %s was entered in the inbox before", digest)
        if entry.stored or not first or not self._begin_commits:
            self._outbox.forward(digest)
            self._begin_commits = True
        if attempt is not None:
            self._last.set(attempt)

    def forward(self, *, older_than: timedelta = timedelta(minutes=1)) -> int:
        """Send what was stored *older_than* ago or before and was not sent; return how many messages.

        An attempt whose message comes again does so for its own key. This is for keys that may not come again: those
        of dead letters, and those that were entered outside of actors.

        Raises:
            BrokerConnectionError: the broker does not answer.
            ExceptionGroup: some could not be sent for another reason; the others are.
        """
        return self._outbox.forward_all(older_than=older_than)

    def forget(self, *, older_than: timedelta) -> int:
        """Delete the keys that were entered *older_than* ago or before and have nothing to send; return how many.

        The work of a key that comes again after that is done again.
        """
        with self._transaction() as database:
            return database.execute(_FORGET, now_ms() - milliseconds(older_than))

    def create_tables(self) -> None:
        """Create the two tables, where they do not exist."""
        with self._transaction() as database:
            for statement in _TABLES:
                if database.dialect == MYSQL:
                    # Its TEXT ends at 64 KiB, and its default character set may lack what JSON has.
                    statement = statement.replace("TEXT", "MEDIUMTEXT") + " ENGINE=InnoDB CHARACTER SET utf8mb4"
                database.execute(statement)

    @contextmanager
    def _transaction(self) -> Iterator[Database]:
        with self._begin() as connection:
            yield Database(connection, self._tables)

    def _attempt(self) -> Attempt:
        try:
            attempt = current()
        except NoAttempt:
            raise NoAttempt("inbox: no actor runs here that has a key; give one: enter(key=…)") from None
        if self._last.get() is attempt:
            raise InboxMisused(
                "inbox: this attempt has entered its key before, so that a second block would have nothing to do; give "
                'each further one a key: enter(key=current().downstream_key("step"))'
            )
        return attempt


def _check(begin: object, *tables: str) -> None:
    # A connection of sqlite3's is callable.
    if not callable(begin) or hasattr(begin, "cursor"):
        raise InboxMisused(f"inbox: {begin!r} is no function that opens a transaction, as engine.begin is")
    for table in tables:
        if not re.fullmatch(r"([A-Za-z_]\w*\.)?[A-Za-z_]\w*", table, re.ASCII):
            raise InboxMisused(f"inbox: {table!r} can't name a table; use letters, digits and _, as in shop.inbox")


def _digest(attempt: Attempt) -> str:
    return keys.digest(attempt.scope, attempt.key or attempt.message.message_id)


def _insert(database: Database, digest: str) -> bool:
    """Return whether *digest* is new; a transaction that has inserted it is waited for."""
    count = database.execute(_ENTER_MYSQL if database.dialect == MYSQL else _ENTER, digest, now_ms())
    if count not in (0, 1):
        raise InboxMisused(f"inbox: the driver says that {count} rows were inserted, not 0 or 1; use another")
    return count == 1
