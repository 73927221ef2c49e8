"""Puts dead letters of an archive back into a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from actors.brokers.sqlite import SqliteEngine, graves
from actors.brokers.sqlite.dead_letters import Burial, bury
from actors.brokers.sqlite.looking import changing
from actors.dead_letters.archive import Archived
from actors.dead_letters.restoring import Choose
from middleware.letter import now_ms

# The largest integer that SQLite has.
MOST = 2**63 - 1


class SqliteGround:
    """See :class:`~actors.dead_letters.restoring.Ground`.

    Args:
        engine: whose file they go to.
        fresh: keep each for the retention of today's setting, in place of what is left of its own.
    """

    def __init__(self, engine: SqliteEngine, *, fresh: bool) -> None:
        self._file = engine.options.file
        self._retention_ms = engine.options.dead_letter_retention_ms
        self._fresh = fresh

    def put_back(self, archived: Sequence[Archived], choose: Choose) -> Iterator[Archived]:
        """Put back those of *archived* that *choose* wants, in one transaction, which also sees what is there already.

        Raises:
            ConnectionFailed: the file can't be used.
        """
        put = []
        with changing(self._file) as connection:
            now = now_ms()
            for each in archived:
                if choose(each, is_present=graves.is_present(connection, each.letter.id, now=now)):
                    bury(connection, Burial(each.letter, each.body, self._expires(each, now)))
                    put.append(each)
        yield from put

    def _expires(self, archived: Archived, now: int) -> int | None:
        expires = archived.expires
        if self._fresh:
            expires = None if self._retention_ms is None else now + self._retention_ms
        return None if expires is None else min(expires, MOST)
