"""The tables of a ledger in the memory of this process, for those that need no other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class MemoryFile:
    """What a scheduler needs of a file, of which nothing is written anywhere.

    Args:
        path: beside which the lock is.
        schema: statements that make the tables.
    """

    def __init__(self, path: Path, *, schema: Sequence[str]) -> None:
        self.path = path
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        for statement in schema:
            self._connection.execute(statement)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        # Within another it is a part of that one, and it alone is undone.
        self._connection.execute("SAVEPOINT block")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK TO block")
            raise
        finally:
            self._connection.execute("RELEASE block")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        yield self._connection

    def close(self) -> None:
        self._connection.close()
