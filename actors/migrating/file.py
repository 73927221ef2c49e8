"""The file that is moved."""

from __future__ import annotations

from actors.brokers.sqlite import SCHEMA as QUEUES
from actors.errors import SettingsError
from actors.urls import path_of
from middleware.stores.sqlite import SCHEMA as RECORDS
from middleware.stores.sqlite import FileRefused, SqliteFile
from periodic.sqlite import SCHEMA as SCHEDULES


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
