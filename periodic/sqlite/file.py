"""What schedulers need of the file, and of whoever keeps the queues in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

Publication = TypeVar("Publication")

# Puts the message of a tick into its queue, in the transaction that is open on the connection, and commits nothing.
# What it raises is this tick's problem, unless SQLite says that the file has one.
Put = Callable[[sqlite3.Connection, Publication], None]


class File(Protocol):
    """An SQLite file, for all threads of a process."""

    @property
    def path(self) -> Path:
        """Where it is; another file is made beside it."""

    def write(self) -> AbstractContextManager[sqlite3.Connection]:
        """Begin a transaction that is durable at the end of the block, and undone if that raises.

        Within another one of the same thread it is a part of that; it alone is undone, if its block raises.
        """

    def read(self) -> AbstractContextManager[sqlite3.Connection]:
        """Look at one state of the file."""
