"""What idempotency remembers goes from the file to the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from actors.migrating.marker import find, keep
from middleware.letter import now_ms
from middleware.stores import Alias, Store
from middleware.stores.sqlite import SqliteFile
from middleware.stores.sqlite.rows import from_text, list_all

BATCH = 500

_ALIASES = "SELECT owner, digest, expires FROM actors_aliases WHERE owner > ? AND expires > ? ORDER BY owner LIMIT ?"


def move_records(file: SqliteFile, store: Store, moved: Callable[[str, int], None], go_on: Callable[[], bool]) -> bool:
    """Copy all records of keys to *store*; return whether none is left. Newer ones that it has stay.

    They stay in the file, too, which nobody uses, until they expire: whoever goes back to the file has them.

    Raises:
        StoreUnavailable: the store did not answer; it can be repeated.
    """
    while go_on():
        with file.read() as connection:
            marker = find(connection)
            assert marker is not None  # noqa: S101
            page = list_all(connection, marker.records, BATCH)
            fence = _fence(connection)
        if not page:
            store.restore([], [], fence=fence)
            return True
        now = now_ms()
        kept = [each for each, _ in page if each.record.expires > now]
        store.restore(kept, [], fence=fence)
        with file.write() as connection:
            keep(connection, records=page[-1][1])
        moved("records", len(kept))
    return False


def move_aliases(file: SqliteFile, store: Store) -> int:
    """Copy to *store* which message asked for which key; return how many there are.

    Raises:
        StoreUnavailable: as for :func:`move_records`.
    """
    after: str | bytes = ""
    count = 0
    while True:
        with file.read() as connection:
            rows = connection.execute(_ALIASES, (after, now_ms(), BATCH)).fetchall()
        if not rows:
            return count
        store.restore(
            [], [Alias(from_text(owner), from_text(digest), expires) for owner, digest, expires in rows], fence=0
        )
        after = rows[-1][0]
        count += len(rows)


class Groups:
    """Which groups wait for their members, and who has arrived.

    Args:
        file: whence.
        store: where they go.

    Attributes:
        count: how many were moved.
    """

    def __init__(self, file: SqliteFile, store: Store) -> None:
        self.count = 0
        self._file = file
        self._store = store
        self._there: set[str] = set()

    def move(self) -> None:
        """Copy to the store those that are not there yet: producers may open more until the file is shut.

        Raises:
            StoreUnavailable: as for :func:`move_records`.
        """
        for name, size, expires, members in _groups(self._file):
            left_ms = expires - now_ms()
            if left_ms > 0 and name not in self._there:
                self._store.open_group(name, size, ttl_ms=left_ms)
                # Members arrive by the hands of workers, which have stopped: this is all that there will be.
                for member in members:
                    self._store.arrive(name, member)
                self._there.add(name)
                self.count += 1


def _groups(file: SqliteFile) -> list[tuple[str, int, int, list[str]]]:
    with file.read() as connection:
        arrived: dict[str | bytes, list[str]] = {}
        for name, member in connection.execute("SELECT name, member FROM actors_arrived"):
            arrived.setdefault(name, []).append(from_text(member))
        rows = connection.execute("SELECT name, size, expires FROM actors_groups").fetchall()
    return [(from_text(name), size, expires, arrived.get(name, [])) for name, size, expires in rows]


def _fence(connection: sqlite3.Connection) -> int:
    [last] = connection.execute("SELECT last FROM actors_fence").fetchone() or [0]
    return int(last)
