"""Messages that are stored in the user's transactions, and sent after their commit."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import dramatiq
from dramatiq.errors import BrokerConnectionError

from middleware.inbox.database import Database, InboxMisused
from middleware.options import milliseconds

_STORE = "INSERT INTO {outbox} (digest, position, due_at, message) VALUES (?, ?, ?, ?)"
_IS_ENTERED = "SELECT digest FROM {inbox} WHERE digest = ?"
_WAITING = "SELECT due_at, message FROM {outbox} WHERE digest = ? ORDER BY position"
_REMOVE = "DELETE FROM {outbox} WHERE digest = ?"
_UNSENT = "SELECT digest FROM {inbox} WHERE entered_at <= ? AND digest IN (SELECT digest FROM {outbox})"


def now_ms() -> int:
    """Return the Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


class Outbox:
    """The messages that follow the keys of an inbox, and are not sent yet.

    Args:
        transaction: opens a transaction of the user's.
        broker: called for the broker that sends.
    """

    def __init__(
        self, transaction: Callable[[], AbstractContextManager[Database]], broker: Callable[[], dramatiq.Broker]
    ) -> None:
        self._transaction = transaction
        self._broker = broker

    def store(
        self, database: Database, digest: str, position: int, message: dramatiq.Message[Any], delay_ms: int | None
    ) -> None:
        """Store *message*, as number *position* of what follows the key *digest*.

        Raises:
            InvalidKey: its idempotency key can't be made. What its encoder raises is raised here, too.
        """
        # The hooks of a send come now, too: they make its key of the arguments as they were given, and what is read
        # again has those that JSON has.
        self._broker().emit_before("enqueue", message, delay_ms)
        due_at = now_ms() + delay_ms if delay_ms else None
        # A broker of ours refuses here what it could not send after the commit.
        encode = getattr(self._broker(), "encoded", dramatiq.Message.encode)
        database.execute(_STORE, digest, position, due_at, encode(message).decode())

    def forward(self, digest: str) -> int:
        """Send what follows the key *digest* and is still here; return how many messages.

        Raises:
            InboxMisused: the key is not in its table.
        """
        with self._transaction() as database:
            if not database.query(_IS_ENTERED, digest):
                raise InboxMisused(
                    "inbox: begin() has not committed, and the work is lost; its context manager must commit at the "
                    "end of its block, as that of engine.begin does, and that of engine.connect does not"
                )
            waiting = database.query(_WAITING, digest)
        for due_at, body in waiting:
            delay_ms = max(0, due_at - now_ms()) if due_at else None
            self._broker().enqueue(dramatiq.Message.decode(body.encode()), delay=delay_ms or None)
        if waiting:
            # Where the process dies before this they are sent again, with the ids they have, and the copies do not run.
            with self._transaction() as database:
                database.execute(_REMOVE, digest)
        return len(waiting)

    def forward_all(self, *, older_than: timedelta) -> int:
        """Send what follows the keys that were entered *older_than* ago or before; return how many messages.

        Raises:
            BrokerConnectionError: the broker does not answer.
            ExceptionGroup: some could not be sent for another reason; the others are.
        """
        with self._transaction() as database:
            unsent = database.query(_UNSENT, now_ms() - milliseconds(older_than))
        count, errors = 0, list[Exception]()
        for (digest,) in unsent:
            try:
                count += self.forward(digest)
            except BrokerConnectionError:
                raise
            except Exception as error:
                errors.append(error)
        if errors:
            raise ExceptionGroup("inbox: some messages can't be sent", errors)
        return count
