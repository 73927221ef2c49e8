from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actors.brokers.sqlite.joining import Joining, NotJoinable
from middleware.stores.sqlite import SqliteFile
from tests.unit.brokers.sqlite.table import Table, message


@pytest.fixture
def joining(table: Table) -> Joining:
    table.count()  # there is a file, with tables
    return Joining(table.file.path)


@pytest.fixture
def connection(joining: Joining, table: Table) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(table.file.path)) as connection:
        yield connection


def test_outside_of_a_block_nothing_is_joined(joining: Joining, connection: sqlite3.Connection) -> None:
    seen = [joining.current]
    with joining.through(connection) as joined:
        seen.append(joining.current)
    seen.append(joining.current)

    assert seen == [None, joined, None]


def test_what_is_put_comes_with_the_commit_and_not_before(
    joining: Joining, connection: sqlite3.Connection, table: Table
) -> None:
    with joining.through(connection) as joined:
        joined.put([message("a"), message("b", queue="other")])
        assert connection.in_transaction
        assert table.count().ready == 0
        connection.commit()

    assert table.count().ready == table.count("other").ready == 1
    assert joined.queues == {"default", "other"}


def test_what_is_put_goes_with_the_rollback(joining: Joining, connection: sqlite3.Connection, table: Table) -> None:
    with joining.through(connection) as joined:
        joined.put([message("a")])
        connection.rollback()

    assert table.count().ready == 0


def test_the_innermost_block_counts(joining: Joining, connection: sqlite3.Connection, table: Table) -> None:
    with closing(sqlite3.connect(table.file.path)) as other, joining.through(connection) as outer:
        with joining.through(other) as inner:
            assert joining.current is inner
        assert joining.current is outer


def test_a_task_that_outlives_its_block_does_not_use_the_connection(
    joining: Joining, connection: sqlite3.Connection
) -> None:
    async def late(block_is_over: asyncio.Event) -> object:
        await block_is_over.wait()
        return joining.current

    async def run() -> object:
        block_is_over = asyncio.Event()
        with joining.through(connection):
            task = asyncio.create_task(late(block_is_over))
        block_is_over.set()
        return await task

    assert asyncio.run(run()) is None


def test_a_link_to_the_file_is_the_file(joining: Joining, table: Table, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(table.file.path)
    with closing(sqlite3.connect(link)) as connection, joining.through(connection) as joined:
        joined.put([message("a")])
        connection.commit()

    assert table.count().ready == 1


@pytest.mark.parametrize(("name", "said"), [("other.db", "other.db"), (":memory:", "a database in memory")])
def test_a_connection_to_something_else_is_refused(name: str, said: str, joining: Joining, tmp_path: Path) -> None:
    found = name if name == ":memory:" else str(tmp_path / name)
    with closing(sqlite3.connect(found)) as connection:
        text = f"the connection is to .*{said}.*the broker's file is .*actors.db"
        with pytest.raises(NotJoinable, match=text), joining.through(connection):
            pytest.fail("it was not refused")


def test_the_broker_s_file_attached_to_another_database_is_refused(
    joining: Joining, table: Table, tmp_path: Path
) -> None:
    # A commit to both is not one where the journal is a write-ahead log.
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("ATTACH ? AS jobs", (str(table.file.path),))
        with pytest.raises(NotJoinable, match=r"other\.db"), joining.through(connection):
            pytest.fail("it was not refused")


def test_a_file_that_the_broker_has_never_used_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id)")
        joining = Joining(SqliteFile(path, schema=()).path)
        with pytest.raises(NotJoinable, match="declare_queue"), joining.through(connection):
            pytest.fail("it was not refused")
