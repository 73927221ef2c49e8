"""Files that can't be used just now: what is said of each, that nothing is lost, and that it goes on by itself."""

from __future__ import annotations

import os
import re
import resource
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from middleware.stores import Ending, StoreUnavailable, Verdict
from middleware.stores.sqlite import FileUnavailable, SqliteStore
from tests.conformance.stores.children import Child, Tell, tell_of
from tests.conformance.stores.sqlite_files import file_at, fill, refusal, store_at
from tests.conformance.stores.subject import claim, finish, record, verdict

LARGE = "x" * 50_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "actors.db"


def test_a_disk_that_has_no_more_room_loses_nothing_and_goes_on_when_it_has(path: Path) -> None:
    def work(tell: Tell) -> None:
        store = store_at(path)
        held = [claim(store, key=f"k{number}") for number in range(20)]
        done = 0
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (Path(f"{path}-wal").stat().st_size + 500_000, hard))
        try:
            for each in held:
                finish(store, each, Ending.DONE, result=LARGE)
                done += 1
        except StoreUnavailable as error:
            tell(str(error))
        tell([record(store, f"k{number}").state for number in range(20)])
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        tell([finish(store, each, Ending.DONE, result=LARGE) for each in held])
        tell(done)

    text, states, counted, done = tell_of(work)
    assert re.fullmatch(rf"the store can't serve: {path}: its disk fails to read or write.* \(SQLITE_IOERR.*\)", text)
    assert 0 < done < 20
    assert states == ["done"] * done + ["running"] * (20 - done)
    assert counted == [True] * 20
    assert [record(store_at(path), f"k{number}").result for number in range(20)] == [LARGE] * 20


def test_a_file_that_is_full_says_so_loses_nothing_and_goes_on(path: Path) -> None:
    file = file_at(path)
    store = SqliteStore(file)
    held = claim(store)

    def resize(pages: int) -> None:
        with file.write() as connection:
            connection.execute(f"PRAGMA max_page_count = {pages}")

    resize(1)
    with pytest.raises(StoreUnavailable) as caught:
        finish(store, held, Ending.DONE, result=LARGE)
    assert str(caught.value) == (
        f"the store can't serve: {path}: its disk is full; make room there, and it goes on "
        "(SQLITE_FULL: database or disk is full)"
    )
    assert record(store).state == "running"
    resize(1_000_000)
    assert finish(store, held, Ending.DONE, result=LARGE)
    assert record(store).result == LARGE


def test_an_error_that_was_caught_within_a_transaction_does_not_commit_the_rest(path: Path) -> None:
    file = file_at(path)

    def fill_up() -> None:
        with file.write() as connection:
            connection.execute("CREATE TABLE numbers (number)")
            connection.execute("PRAGMA max_page_count = 1")
            with pytest.raises(sqlite3.OperationalError):
                connection.execute("INSERT INTO numbers VALUES (zeroblob(100000))")

    with pytest.raises(FileUnavailable, match="an error within the transaction has undone all of it"):
        fill_up()
    with file.read() as connection:
        assert connection.execute("SELECT name FROM sqlite_schema WHERE name = 'numbers'").fetchall() == []


def test_a_file_locked_by_another_process_is_waited_for_and_then_unavailable(path: Path) -> None:
    fill(path, 1)

    def hold(tell: Tell) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            tell("locked")
            os.read(go[0], 1)

    go = os.pipe()
    with Child(hold) as child:
        child.wait_for_word()
        text = refusal(store_at(path, timeout_s=0.1))
        os.write(go[1], b"x")
        assert child.wait() == 0
    assert text == (
        f"the store can't serve: {path}: another process has kept it locked for longer than the timeout "
        "(SQLITE_BUSY: database is locked)"
    )
    assert verdict(store_at(path), "k0", "m2") is Verdict.DONE
    for end in go:
        os.close(end)


def test_a_process_with_too_many_files_open_goes_on_when_it_has_fewer(path: Path) -> None:
    fill(path, 1)

    def work(tell: Tell) -> None:
        store = store_at(path)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        text = refusal(store)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        tell([text, verdict(store, "k0", "m2")])

    assert tell_of(work) == [
        [
            f"the store can't serve: {path}: it can't be opened; this process may have too many files open already "
            "(SQLITE_CANTOPEN: unable to open database file)",
            "done",
        ]
    ]


def test_an_error_of_a_part_that_was_caught_does_not_commit_what_follows(path: Path) -> None:
    file = file_at(path)
    store = SqliteStore(file)
    held = claim(store)

    def go_on() -> None:
        with file.write() as connection:
            connection.execute("PRAGMA max_page_count = 1")
            with pytest.raises(StoreUnavailable, match="its disk is full"):
                finish(store, held, Ending.DONE, result=LARGE * 100)
            connection.execute("DELETE FROM actors_records")

    with pytest.raises(FileUnavailable, match="an error within the transaction has undone all of it"):
        go_on()
    assert record(store).state == "running"
    assert finish(store, held, Ending.DONE, result=LARGE)
