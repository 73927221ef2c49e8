"""The delayed messages in a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence

from actors.brokers.inquiry import Delayed, Found, read_body
from actors.brokers.sqlite import SqliteEngine, waiting
from actors.brokers.sqlite.looking import changing, has_tables, looking
from actors.brokers.sqlite.waiting import Place
from actors.delayed.page import Dealt, Page

# How many ids are dealt with in one transaction: it must not keep others from writing for long.
STEP = 500
_LARGEST = 2**63 - 1

Act = Callable[[sqlite3.Connection, Collection[int]], None]


class SqliteWaiting:
    """See :class:`~actors.delayed.waiting.Waiting`. All are found by an index, however many there are.

    Args:
        engine: whose file they are in.
    """

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine
        self._file = engine.options.file

    def look(self, *, queue: str | None, actor: str | None, limit: int, after: str) -> Page:
        """Return a page of them, soonest due first; nothing changes."""
        place = _place(after)
        found: list[Place] = []
        with looking(self._file) as connection:
            for name in waiting.names(connection) if queue is None else [queue]:
                found += waiting.places(connection, name, actor, after=place, limit=limit + 1)
                found = sorted(found)[: limit + 1]
            page = [_shown(waiting.at(connection, each)) for each in found[:limit]]
        following = f"{found[limit - 1][0]}:{found[limit - 1][1]}" if len(found) > limit else ""
        return Page(page, following, [], 0)

    def find(self, ids: Sequence[str]) -> list[Delayed]:
        """Return the messages with *ids*; nothing changes."""
        with looking(self._file) as connection:
            return [_shown(each) for each in waiting.named(connection, ids)]

    def cancel(self, ids: Sequence[str], note: Callable[[Found], None]) -> Dealt:
        """Delete the messages with *ids*; call *note* with each once it is gone."""
        return self._deal(ids, waiting.drop, note)

    def run_now(self, ids: Sequence[str], note: Callable[[Found], None]) -> Dealt:
        """Let the messages with *ids* be ready; call *note* with each once it is.

        A process that dies in the middle loses none, and doubles none.
        """
        dealt = self._deal(ids, waiting.release, note)
        self._engine.ring({found.message.queue for found in dealt.found})
        return dealt

    def _deal(self, ids: Sequence[str], act: Act, note: Callable[[Found], None]) -> Dealt:
        names = list(dict.fromkeys(ids))
        found: list[Found] = []
        if not has_tables(self._file.path):
            return Dealt(found, names, [], 0)
        for start in range(0, len(names), STEP):
            with changing(self._file) as connection:
                there = waiting.named(connection, names[start : start + STEP])
                act(connection, [each.row for each in there])
            for each in there:
                found.append(Found(_shown(each)))
                note(found[-1])
        met = {each.message.message_id for each in found}
        return Dealt(found, [name for name in names if name not in met], [], 0)


def _shown(delayed: waiting.Delayed) -> Delayed:
    actor, retries = read_body(delayed.body)
    return Delayed(delayed.message_id, actor, delayed.queue, delayed.due, retries, len(delayed.body), "")


def _place(text: str) -> Place:
    if not text:
        return (0, 0)
    due, _, row = text.partition(":")
    place = int(due), int(row)
    if max(map(abs, place)) > _LARGEST:
        raise ValueError("no place")
    return place
