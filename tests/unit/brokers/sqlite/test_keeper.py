from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from actors.brokers.sqlite import dead_letters
from actors.brokers.sqlite.dead_letters import Burial
from actors.brokers.sqlite.keeper import Keeper
from actors.brokers.sqlite.outage import Outage
from actors.brokers.sqlite.tenure import Tenure
from middleware.letter import now_ms
from middleware.stores.sqlite import SqliteFile
from services.deadline import until
from tests.unit.brokers.sqlite.table import Table
from tests.unit.brokers.sqlite.test_settling import letter

LEASE_MS = 300


@pytest.fixture
def keeper(file: SqliteFile) -> Iterator[Keeper]:
    keeper = Keeper(file, Outage(file.path), lease_ms=LEASE_MS)
    yield keeper
    until(lambda: not running(), seconds=10, what="the end of the thread")


def running() -> int:
    return sum(each.name == "actors-holder" for each in threading.enumerate())


def until_of(table: Table, holder: int) -> int:
    with table.file.read() as connection:
        found = connection.execute("SELECT until FROM actors_holder WHERE id = ?", (holder,)).fetchone()
        return found[0] if found else 0


def test_a_tenure_is_renewed_as_long_as_its_source_returns_it(table: Table, keeper: Keeper) -> None:
    first = now_ms() + LEASE_MS
    tenure = Tenure(table.enter(until=first), first)
    source = [tenure]

    def kept() -> Tenure | None:
        return source[0] if source else None

    keeper.keep(kept)
    until(lambda: tenure.until > first + LEASE_MS, seconds=10, what="a renewal beyond the first lease")
    assert not tenure.over
    assert until_of(table, tenure.holder) == tenure.until

    source.clear()
    until(lambda: tenure.over, seconds=10, what="the end of the tenure")
    keeper.drop(kept)


def test_a_tenure_that_is_another_s_is_over_at_once(table: Table, keeper: Keeper) -> None:
    tenure = Tenure(table.enter(until=1), now_ms() + 60_000)
    table.evict(now=2)

    def kept() -> Tenure:
        return tenure

    keeper.keep(kept)
    until(lambda: tenure.over, seconds=10, what="the end of the tenure")
    assert until_of(table, tenure.holder) == 0
    keeper.drop(kept)


def test_one_thread_serves_all_and_ends_with_the_last(keeper: Keeper) -> None:
    sources = [lambda: None, lambda: None]
    for source in sources:
        keeper.keep(source)
    assert running() == 1
    keeper.drop(sources[0])
    assert running() == 1
    keeper.drop(sources[1])
    until(lambda: not running(), seconds=10, what="the end of the thread")
    keeper.keep(sources[0])
    assert running() == 1
    keeper.drop(sources[0])


def test_renewing_goes_on_after_the_file_could_not_be_used(
    table: Table, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    first = now_ms() + 60_000
    tenure = Tenure(table.enter(until=first), first)
    parked = table.file.path.with_name("parked.db")

    def kept() -> Tenure:
        return tenure

    table.file.path.rename(parked)
    with caplog.at_level(logging.WARNING):
        keeper.keep(kept)
        until(lambda: "messages wait" in caplog.text, seconds=10, what="the report")
    parked.rename(table.file.path)

    renewed = tenure.until
    until(lambda: tenure.until != renewed, seconds=10, what="a renewal")
    keeper.drop(kept)
    assert caplog.text.count("messages wait") == 1


def test_dead_letters_whose_time_is_over_are_removed(table: Table, keeper: Keeper) -> None:
    with table.file.write() as connection:
        for number in range(150):
            dead_letters.bury(connection, Burial(letter(str(number)), b"", expires=now_ms()))
        dead_letters.bury(connection, Burial(letter("kept"), b"", expires=now_ms() + 60_000))

    def nothing() -> None:
        return None

    def left() -> int:
        with table.file.read() as connection:
            return int(connection.execute("SELECT count(*) FROM actors_dead_letter").fetchone()[0])

    keeper.keep(nothing)
    until(lambda: left() == 1, seconds=10, what="the sweep")
    keeper.drop(nothing)
