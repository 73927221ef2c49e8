"""Terms of leaders with different code, clocks and fates, one after the other, on a file; they die at any statement."""

import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.stores.sqlite.file import SqliteFile
from periodic.leader import Leader
from periodic.outlook import Outlook
from periodic.sqlite.ledger import TakenBack
from periodic.sqlite.lock import Lock
from periodic.sqlite.term import begin
from periodic.status import Status
from periodic.takeover import Replica
from tests.conformance.ledgers.on_sqlite import OnSqlite, in_file
from tests.property.test_scheduler_terms import ALWAYS, SKEW_S, TERMS, VERSIONS, Term, ids
from tests.unit.periodic.moments import MIDNIGHT, after


class Died(Exception):
    """The process has ended here."""


class Dying:
    """A connection whose process dies at one of its statements."""

    def __init__(self, file: "DyingFile", connection: sqlite3.Connection) -> None:
        self._file = file
        self._connection = connection

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        self._file.statement()
        return self._connection.execute(*arguments)


class DyingFile:
    """A file as a process has it that dies after so many statements and commits; negative for never.

    A process that dies within a transaction leaves to the next what was there before it.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self.path = file.path
        self.dies_at = -1
        self._depth = 0

    def statement(self) -> None:
        self.dies_at -= 1
        if self.dies_at == 0:
            raise Died

    @contextmanager
    def write(self) -> Iterator[Any]:
        self._depth += 1
        try:
            with self._file.write() as connection:
                yield Dying(self, connection)
                self.statement()  # the one that commits
        finally:
            self._depth -= 1
        if not self._depth:
            self.statement()

    def read(self) -> Any:
        return self._file.read()


@given(TERMS, st.lists(st.integers(0, 120), min_size=8, max_size=8))
@settings(max_examples=60)
def test_each_tick_is_enqueued_once_whoever_leads_and_wherever_terms_end(terms: list[Term], deaths: list[int]) -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("ACTORS_TEST_FOLDER")) as folder:
        subject = in_file(Path(folder))
        wall, outlooks = 0.0, [Outlook(version, MIDNIGHT) for version in VERSIONS]
        for term, dies_at in zip(terms, deaths, strict=False):
            wall = lead(subject, term, wall, outlooks[term.version], dies_at) + term.pause_s
        # At last each version leads with the fastest clock there was, and nothing befalls it.
        for version in range(len(VERSIONS)):
            undisturbed = Term(version, SKEW_S, 5, 0, False, frozenset(), 0)
            wall = lead(subject, undisturbed, wall, outlooks[version], 0)
        check(subject)
        subject.close()


def check(subject: OnSqlite[SqliteFile]) -> None:
    roster, watermark = subject.read()
    assert roster is not None
    assert watermark is not None
    began = min(entry.since for name, entry in roster.entries.items() if name in ALWAYS)
    always = {id_ for each in VERSIONS[0] if each.name in ALWAYS for id_ in ids(each, began, watermark)}
    others = {
        id_
        for version in VERSIONS
        for each in version
        if each.name not in ALWAYS
        for id_ in ids(each, after(-SKEW_S), watermark)
    }
    jobs = Counter(subject.jobs())
    assert max(jobs.values(), default=1) == 1
    assert always <= jobs.keys() <= always | others
    assert subject.missed() == 0


def lead(subject: OnSqlite[SqliteFile], term: Term, wall: float, outlook: Outlook, dies_at: int) -> float:
    """Let a replica lead, which has run since midnight; return when its term ends."""
    skew = timedelta(seconds=term.skew_s)
    replica = Replica(f"version {term.version}", MIDNIGHT + skew, {each.name: each for each in VERSIONS[term.version]})
    subject.refused = set(term.full)
    file, suspects = DyingFile(subject.file), set[str]()
    file.dies_at = dies_at or -1
    lock, end = Lock(file, replica.name), wall + term.lasts_s
    with suppress(Died):
        while wall < end:
            now = after(wall) + skew
            outlook.follow(now)
            assert lock.may_take()
            begun = begin(file, lock, subject.put, suspects, replica, now)
            assert begun is not None
            status, publish = Status("r"), subject.publication
            leader = Leader(begun.ledger, replica.schedules, begun.positions, publish, status, now, outlook)
            with suppress(TakenBack):
                while wall < end:
                    now = after(wall) + skew
                    while (turn := leader.next_turn()) is not None and turn <= now:
                        leader.take_turn(now)
                    begun.ledger.flush()
                    wall += 0.25
    lock.let_go()
    return wall
