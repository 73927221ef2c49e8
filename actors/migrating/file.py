"""The file that is moved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from actors.brokers.sqlite import SCHEMA as QUEUES
from actors.errors import SettingsError
from actors.migrating.errors import MigrationRefused
from actors.urls import path_of
from middleware.stores.sqlite import SCHEMA as RECORDS
from middleware.stores.sqlite import FileRefused, SqliteFile
from periodic.sqlite import SCHEMA as SCHEDULES
from periodic.sqlite.guard import Guard


def file_to_move(url: str) -> SqliteFile:
    """Return the file that *url* names, for who moves what is in it; it opens nothing yet.

    Raises:
        SettingsError: there is no such file.
    """
    try:
        file = SqliteFile(path_of(url), schema=(*RECORDS, *QUEUES, *SCHEDULES), moves=True)
    except FileRefused as refused:
        raise SettingsError(f"{url!r}: {refused}") from None
    if not file.path.exists():
        # Not made, as for whoever sends: an empty one would be moved in no time.
        raise SettingsError(f"{url!r}: there is no file {file.path}")
    return file


@contextmanager
def alone(file: SqliteFile) -> Iterator[None]:
    """Let nobody else of this machine move what is in *file* during the block, or give that up.

    Raises:
        MigrationRefused: somebody does.
    """
    guard = Guard(file.path.with_name(f"{file.path.name}-migrate"))
    if not guard.try_hold():
        raise MigrationRefused(
            f"{file.path}: another process moves what is in it just now; wait for its end, or stop it"
        )
    try:
        yield
    finally:
        guard.let_go()
