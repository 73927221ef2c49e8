"""A look at the file from outside of a worker, by an operator or a check."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from dramatiq.errors import ConnectionFailed

from actors.brokers.sqlite.schema import SCHEMA
from middleware.stores.sqlite import FileRefused, FileUnavailable, SqliteFile
from middleware.stores.sqlite.place import misplaced


@contextmanager
def looking(file: SqliteFile) -> Iterator[sqlite3.Connection]:
    """Yield a connection to look at one state of *file*; where there is no file yet, at an empty one: none is made.

    Raises:
        ConnectionFailed: the file can't be used.
    """
    with answering():
        if file.path.exists():
            with file.read() as connection:
                yield connection
            return
        if wrong := misplaced(file.path):
            raise FileRefused(f"{file.path}: {wrong}")
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
            for statement in SCHEMA:
                empty.execute(statement)
            yield empty


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
