"""Sends within an application's own transaction, where it is one on the broker's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from actors.brokers.sqlite.queues import Queued, put
from actors.errors import ActorsError


class NotJoinable(ActorsError, ValueError):
    """A connection is not one to the broker's file, or the file is not the broker's yet."""


class Joined:
    """The block in which sends go through a connection of the application's.

    Attributes:
        queues: those that something was put into.
        is_open: whether the block is still being run: a task that was started in it may outlive it.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.queues: set[str] = set()
        self.is_open = True
        self._connection = connection

    def put(self, messages: Sequence[Queued]) -> None:
        """Put *messages* into their queues, in the transaction that is open, or that this begins.

        Raises:
            sqlite3.Error: it could not be done; nothing was put.
        """
        put(self._connection, messages)
        self.queues.update(each.queue for each in messages)


class Joining:
    """Knows through which connection the sends of the running thread, or task, are to go.

    Args:
        path: of the broker's file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._current: ContextVar[Joined | None] = ContextVar("joined", default=None)

    @property
    def current(self) -> Joined | None:
        """The innermost block that is being run here, if there is one."""
        joined = self._current.get()
        return joined if joined is not None and joined.is_open else None

    @contextmanager
    def through(self, connection: sqlite3.Connection) -> Iterator[Joined]:
        """Let all sends go through *connection* during the block.

        Raises:
            NotJoinable: it is one to another file.
        """
        self._require(connection)
        joined = Joined(connection)
        token = self._current.set(joined)
        try:
            yield joined
        finally:
            joined.is_open = False
            self._current.reset(token)

    def _require(self, connection: sqlite3.Connection) -> None:
        found = next(path for _, name, path in connection.execute("PRAGMA database_list") if name == "main")
        if not found or not self._path.exists() or not self._path.samefile(found):
            raise NotJoinable(
                f"the connection is to {found or 'a database in memory'}, and the broker's file is {self._path}; "
                "connect to that one, or send after the commit"
            )
        table = "SELECT 1 FROM sqlite_schema WHERE name = 'actors_message'"
        if connection.execute(table).fetchone() is None:
            raise NotJoinable(
                f"{self._path} has no table of the broker's yet; before the transaction begins, "
                "call broker.declare_queue(name, ensure=True)"
            )
