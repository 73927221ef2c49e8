"""Whether what is replayed in a file fails again."""

from __future__ import annotations

from collections.abc import Collection

from actors.brokers.sqlite import graves, queues
from actors.brokers.sqlite.looking import looking
from actors.dead_letters.relapses import are_too_many, is_relapse
from middleware.letter import now_ms
from middleware.stores.sqlite import SqliteFile

# How many new letters are read at a time.
CHUNK = 1_000


class Relapses:
    """Counts the new dead letters of messages that are replayed from now on.

    Args:
        file: where they are.
        names: the logical queues that are replayed.
        after: the row of the last letter that was there before.
        stop_after: how many are too many; None for most of those that have ended.

    Attributes:
        found: how many there were when it was last looked.
    """

    def __init__(self, file: SqliteFile, names: Collection[str], *, after: int, stop_after: int | None) -> None:
        self.found = 0
        self._file = file
        self._names = names
        self._after = after
        self._stop_after = stop_after
        self._started = now_ms()

    def are_too_many(self, replayed: int) -> bool:
        """Look at the letters that have come since the last look; return whether there are too many relapses.

        Args:
            replayed: how many messages were replayed.
        """
        arrived = CHUNK
        while arrived == CHUNK:
            with looking(self._file) as connection:
                self._after, arrived, letters = graves.arrivals(connection, self._names, after=self._after, limit=CHUNK)
            self.found += sum(is_relapse(letter, self._started) for letter in letters)
        return are_too_many(self.found, replayed, self._waiting, stop_after=self._stop_after)

    def _waiting(self) -> int:
        now = now_ms()
        with looking(self._file) as connection:
            return sum(queues.count(connection, name, now=now).ready for name in self._names)
