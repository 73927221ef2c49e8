"""What a store in a file costs: rows that go away, and statements that look at no more than they must."""

from pathlib import Path

import pytest

from middleware.stores import Claim, Ending, Outcome, pages
from middleware.stores.sqlite import SCHEMA, SqliteFile, SqliteStore, rows, sweep
from tests.conformance.stores.subject import LONG, SHORT, InSqlite, claim, finish, request

TABLES = ("actors_records", "actors_aliases", "actors_groups", "actors_arrived")


def counts(subject: InSqlite) -> list[int]:
    with subject.file.read() as connection:
        return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES]


def plan(subject: InSqlite, sql: str) -> list[str]:
    """How SQLite goes about *sql*."""
    with subject.file.read() as connection:
        values = [1] * sql.count("?")
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


def test_expired_rows_go_away_with_what_comes(in_sqlite: InSqlite) -> None:
    store = in_sqlite.store
    store.exchange(
        [], [request(f"k{number}", lease_ms=SHORT, ttl_ms=SHORT, owner=f"m{number}") for number in range(50)]
    )
    for number in range(50):
        finish(store, claim(store, key=f"d{number}", owner=f"n{number}", ttl_ms=SHORT, lease_ms=SHORT), Ending.DONE)
        store.open_group(f"g{number}", 2, ttl_ms=SHORT)
        store.arrive(f"g{number}", "m1")
    assert counts(in_sqlite) == [100, 100, 50, 50]
    in_sqlite.pass_time(2 * SHORT + sweep.GRACE_MS)
    for number in range(51):
        claim(store, key=f"new{number}", owner=f"new{number}")
        store.open_group(f"new{number}", 2, ttl_ms=LONG)
    assert counts(in_sqlite) == [51, 0, 51, 0]


def test_a_sweep_takes_no_more_than_a_few_for_each_that_comes(in_sqlite: InSqlite) -> None:
    store = in_sqlite.store
    store.exchange([], [request(f"k{number}", lease_ms=SHORT, ttl_ms=SHORT) for number in range(1_000)])
    in_sqlite.pass_time(2 * SHORT + sweep.GRACE_MS)
    claim(store, key="new")
    assert counts(in_sqlite)[0] == 1_001 - 2


def test_a_clock_that_is_set_back_a_little_has_lost_nothing(in_sqlite: InSqlite) -> None:
    held = claim(in_sqlite.store)
    finish(in_sqlite.store, held, Ending.DONE)
    in_sqlite.pass_time(LONG + sweep.GRACE_MS - 1)
    claim(in_sqlite.store, key="new")
    assert in_sqlite.store.inspect("v1.k") is None
    in_sqlite.pass_time(-sweep.GRACE_MS)
    assert in_sqlite.store.inspect("v1.k") is not None


@pytest.mark.parametrize(
    ("sql", "index", "search"),
    [
        (rows.FIND, "sqlite_autoindex_actors_records_1", "(digest=?)"),
        (rows.LIST, "actors_records_by_expiry", "(is_open=? AND expires>?)"),
        (sweep.RECORDS, "actors_records_by_expiry", "(is_open=? AND expires<?)"),
        (sweep.ALIASES, "actors_aliases_by_expiry", "(expires<?)"),
        (sweep.GROUPS, "actors_groups_by_expiry", "(expires<?)"),
    ],
)
def test_no_statement_looks_at_all_rows(in_sqlite: InSqlite, sql: str, index: str, search: str) -> None:
    claim(in_sqlite.store)
    steps = plan(in_sqlite, sql)
    assert [step for step in steps if step.startswith("SEARCH") and step.endswith(f"INDEX {index} {search}")]
    assert [step for step in steps if step.startswith("SCAN") or "TEMP B-TREE" in step] == []


def test_listing_does_not_change_the_file(in_sqlite: InSqlite) -> None:
    in_sqlite.store.exchange([], [request(f"k{number}") for number in range(5)])
    in_sqlite.file.close()
    before = in_sqlite.path.read_bytes()
    assert len(list(pages(in_sqlite.store, limit=2))) == 5
    in_sqlite.store.inspect("v1.k1")
    in_sqlite.store.digest_of("m1")
    in_sqlite.file.close()
    assert in_sqlite.path.read_bytes() == before


def test_an_exchange_is_a_part_of_the_transaction_around_it(in_sqlite: InSqlite) -> None:
    held = claim(in_sqlite.store)

    def fail() -> None:
        with in_sqlite.file.write():
            in_sqlite.store.exchange([Outcome(held, Ending.DONE)], [request("other")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [record.key for record in pages(in_sqlite.store)] == ["k"]


def test_an_application_keeps_its_own_tables_and_version(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "app.db", schema=["CREATE TABLE IF NOT EXISTS orders (id INTEGER)", *SCHEMA])
    with file.write() as connection:
        connection.execute("INSERT INTO orders VALUES (42)")
    store = SqliteStore(file)
    _, [answer] = store.exchange([], [asked := request()])
    assert finish(store, Claim(asked, answer.fence), Ending.DONE)
    with file.read() as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert connection.execute("PRAGMA user_version").fetchone() == (0,)
    assert {name for name in names if not name.startswith("actors_")} == {"orders"}
    file.close()
