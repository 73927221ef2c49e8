"""A look at a file, which may not be there, or not be usable."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from dramatiq.errors import ConnectionFailed

from actors.brokers.sqlite.looking import changing, looking
from actors.brokers.sqlite.schema import SCHEMA
from middleware.stores.sqlite import SqliteFile
from tests.unit.brokers.sqlite.table import Table


def test_a_look_makes_no_file_and_finds_nothing(file: SqliteFile) -> None:
    with looking(file) as connection:
        assert connection.execute("SELECT count(*) FROM actors_message").fetchone() == (0,)
    assert list(file.path.parent.iterdir()) == []


def test_a_look_sees_one_state_while_others_write(file: SqliteFile, table: Table) -> None:
    table.put("a")
    other = SqliteFile(file.path, schema=SCHEMA)
    with looking(file) as connection:
        before = connection.execute("SELECT count(*) FROM actors_message").fetchone()
        Table(other).put("b")
        assert connection.execute("SELECT count(*) FROM actors_message").fetchone() == before == (1,)
    other.close()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ConnectionFailed, match="there is no folder"),
        looking(SqliteFile(tmp_path / "no" / "actors.db", schema=SCHEMA)),
    ):
        pass


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "actors.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(ConnectionFailed, match="no SQLite database"), looking(SqliteFile(path, schema=SCHEMA)):
        pass


def test_a_file_that_stays_locked_is_said_to_be(file: SqliteFile, table: Table) -> None:
    table.put("a")
    impatient = SqliteFile(file.path, schema=SCHEMA, timeout_s=0.05)
    lock = sqlite3.connect(file.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(ConnectionFailed, match="locked"), changing(impatient):
        pass
    lock.close()
    impatient.close()


def test_the_database_of_an_application_is_left_as_it_is(file: SqliteFile) -> None:
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    before = file.path.read_bytes()
    with looking(file) as connection:
        assert connection.execute("SELECT count(*) FROM actors_message").fetchone() == (0,)
    assert file.path.read_bytes() == before
