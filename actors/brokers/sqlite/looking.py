"""A look at the file from outside of a worker, by an operator or a check."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from dramatiq.errors import ConnectionFailed

from actors.brokers.sqlite.schema import SCHEMA
from middleware.stores.sqlite import FileRefused, FileUnavailable, SqliteFile
from middleware.stores.sqlite.place import misplaced


@contextmanager
def looking(file: SqliteFile) -> Iterator[sqlite3.Connection]:
    """Yield a connection to look at one state of *file*; where it has no tables yet, at empty ones: none are made.

    Raises:
        ConnectionFailed: the file can't be used.
    """
    with answering():
        if has_tables(file.path):
            with file.read() as connection:
                yield connection
            return
        if wrong := misplaced(file.path):
            raise FileRefused(f"{file.path}: {wrong}")
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
            for statement in SCHEMA:
                empty.execute(statement)
            yield empty


def has_tables(path: Path) -> bool:
    """Return whether there is a file at *path*, and it is not one of somebody else's that we have not used yet."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as raw:
            return raw.execute("SELECT 1 FROM sqlite_master WHERE name = 'actors_schema'").fetchone() is not None
    except sqlite3.Error:
        return True  # whoever opens it to use it says what is wrong


@contextmanager
def changing(file: SqliteFile) -> Iterator[sqlite3.Connection]:
    """Yield a connection in a transaction that is durable at the end of the block, and undone if that raises.

    Raises:
        ConnectionFailed: the file can't be used.
    """
    with answering(), file.write() as connection:
        yield connection


@contextmanager
def answering() -> Iterator[None]:
    """Raise what is wrong with a file as what is wrong with a broker.

    Raises:
        ConnectionFailed: the file can't be used.
    """
    try:
        yield
    except (FileUnavailable, FileRefused) as error:
        raise ConnectionFailed(str(error)) from error
