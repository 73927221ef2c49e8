"""Who uses a file: workers, and schedulers."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime

from actors.brokers.sqlite.bell import Bell
from middleware.stores.sqlite import SqliteFile
from periodic.sqlite import SqliteSchedulers


def users_of(file: SqliteFile, connection: sqlite3.Connection, *, now: int) -> list[str]:
    """Return who works with *file*, in words; producers do not count.

    Who was killed counts until its lease is over, or as long as others would wait for a sign of life: 12 s at most.

    Args:
        file: the file.
        connection: to it, in a transaction.
        now: milliseconds since the Unix epoch.
    """
    return [*_holders(connection, now), *_listeners(file), *_schedulers(file)]


def _holders(connection: sqlite3.Connection, now: int) -> Iterator[str]:
    found = connection.execute("SELECT worker, queue, until FROM actors_holder WHERE until > ? ORDER BY id", (now,))
    for worker, queue, until in found:
        at = datetime.fromtimestamp(until / 1000, UTC).isoformat(timespec="seconds")
        yield f"worker {worker} has messages of queue {queue!r} (lease until {at})"


def _listeners(file: SqliteFile) -> Iterator[str]:
    """Yield who waits to be rung: also workers that have nothing to do."""
    folder = Bell(file.path).folder
    count = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hand:
            try:
                hand.connect(str(path))
            except OSError:
                continue  # its process was killed
            count += 1
    if count:
        yield f"workers wait for messages of {count} queue{'s' if count > 1 else ''} (sockets in {folder})"


def _schedulers(file: SqliteFile) -> Iterator[str]:
    for status in SqliteSchedulers(file).present().replicas:
        yield f"scheduler {status.get('replica')} is {status.get('role')}"
