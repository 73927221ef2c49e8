"""From the tables of an older release to those of this one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from middleware.stores.sqlite.versions import MIGRATIONS, bring_up, moving, shut, too_new, version_of

FIRST = ["CREATE TABLE IF NOT EXISTS actors_numbers (number INTEGER)"]
THIRD = ["CREATE TABLE IF NOT EXISTS actors_numbers (number INTEGER, double INTEGER, triple INTEGER)"]
STEPS = [
    ["ALTER TABLE actors_numbers ADD double INTEGER", "UPDATE actors_numbers SET double = 2 * number"],
    ["ALTER TABLE actors_numbers ADD triple INTEGER", "UPDATE actors_numbers SET triple = 3 * number"],
]


@pytest.fixture
def raw() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


def test_new_tables_are_of_the_current_version(raw: sqlite3.Connection) -> None:
    assert bring_up(raw, THIRD, STEPS) == ""
    assert version_of(raw) == 3
    raw.execute("INSERT INTO actors_numbers VALUES (1, 2, 3)")


def test_older_tables_go_through_all_steps_that_they_lack(raw: sqlite3.Connection) -> None:
    bring_up(raw, FIRST, [])
    raw.execute("INSERT INTO actors_numbers VALUES (7)")
    assert bring_up(raw, THIRD, STEPS) == ""
    assert (version_of(raw), raw.execute("SELECT * FROM actors_numbers").fetchall()) == (3, [(7, 14, 21)])


def test_a_step_is_made_once(raw: sqlite3.Connection) -> None:
    bring_up(raw, FIRST, [])
    for steps in (STEPS[:1], STEPS, STEPS):
        assert bring_up(raw, THIRD, steps) == ""
    assert version_of(raw) == 3


def test_a_step_that_fails_undoes_those_before_it(raw: sqlite3.Connection) -> None:
    bring_up(raw, FIRST, [])
    raw.execute("BEGIN")
    with pytest.raises(sqlite3.OperationalError):
        bring_up(raw, THIRD, [STEPS[0], ["ALTER TABLE missing ADD triple INTEGER"]])
    raw.execute("ROLLBACK")
    columns = [row[1] for row in raw.execute("PRAGMA table_info(actors_numbers)")]
    assert (version_of(raw), columns) == (1, ["number"])


def test_newer_tables_are_refused_and_left_alone(raw: sqlite3.Connection) -> None:
    bring_up(raw, THIRD, STEPS)
    assert "its tables are of version 3, and this release knows none above 1" in bring_up(raw, FIRST, [])
    assert version_of(raw) == 3


def test_tables_that_are_shut_stay_so_through_all_steps(raw: sqlite3.Connection) -> None:
    bring_up(raw, FIRST, [])
    shut(raw, is_shut=True)
    shut(raw, is_shut=True)
    assert (version_of(raw), bring_up(raw, THIRD, STEPS), version_of(raw)) == (-1, "", -3)
    assert "of version 3" in bring_up(raw, FIRST, [])
    shut(raw, is_shut=False)
    assert version_of(raw) == 3


def test_tables_say_where_they_go(raw: sqlite3.Connection) -> None:
    assert moving(raw) == ""
    raw.execute("CREATE TABLE actors_moving (why TEXT)")
    raw.execute("INSERT INTO actors_moving VALUES ('there')")
    assert moving(raw) == "there"


def test_this_release_has_one_version() -> None:
    assert (list(MIGRATIONS), too_new(1)) == ([], "")
    assert "version 2" in too_new(2)
