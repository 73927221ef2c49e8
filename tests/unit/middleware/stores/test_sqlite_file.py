"""Transactions on a file, by many threads and across a fork."""

import gc
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from middleware.stores.sqlite import FileRefused, FileUnavailable, SqliteFile
from services.deadline import until
from tests.conformance.stores.numbers import SCHEMA, add, numbers


@pytest.fixture
def file(tmp_path: Path) -> SqliteFile:
    return SqliteFile(tmp_path / "actors.db", schema=SCHEMA, timeout_s=5)


def open_files(file: SqliteFile) -> int:
    """How often this process has the file itself open."""
    # One is of the folder that is listed, and gone by now.
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [link.readlink() for link in links].count(file.path)


def test_nothing_is_opened_before_the_first_use(file: SqliteFile) -> None:
    assert not file.path.exists()


def test_what_is_written_is_there_for_all(file: SqliteFile) -> None:
    add(file, 1, 2)
    assert numbers(SqliteFile(file.path, schema=SCHEMA)) == [1, 2]


def test_a_block_that_raises_has_written_nothing(file: SqliteFile) -> None:
    def fail() -> None:
        with file.write() as connection:
            connection.execute("INSERT INTO actors_numbers VALUES (1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert numbers(file) == []


def test_an_error_of_a_statement_is_its_own(file: SqliteFile) -> None:
    add(file, 1)
    with pytest.raises(sqlite3.IntegrityError):
        add(file, 2, 1)
    assert numbers(file) == [1]


def test_a_commit_is_on_the_disk(file: SqliteFile) -> None:
    with file.write() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys")
        assert [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas] == ["wal", 2, 1]


def test_a_write_within_a_write_is_a_part_of_it(file: SqliteFile) -> None:
    def fail() -> None:
        with file.write():
            add(file, 1)
            assert numbers(file) == [1]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert numbers(file) == []


def test_a_part_that_raises_is_undone_without_the_rest(file: SqliteFile) -> None:
    with file.write():
        add(file, 1)
        with pytest.raises(sqlite3.IntegrityError):
            add(file, 2, 1)
        add(file, 3)
    assert numbers(file) == [1, 3]


def test_a_write_within_a_read_is_refused(file: SqliteFile) -> None:
    with file.read(), pytest.raises(RuntimeError, match="can't write"), file.write():
        pass
    add(file, 1)


def test_a_read_sees_one_state(file: SqliteFile) -> None:
    add(file, 1)
    with file.read() as connection, ThreadPoolExecutor(1) as other:
        other.submit(add, file, 2).result()
        assert connection.execute("SELECT count(*) FROM actors_numbers").fetchone() == (1,)
    assert numbers(file) == [1, 2]


def test_a_read_changes_nothing(file: SqliteFile) -> None:
    with file.read() as connection:
        connection.execute("INSERT INTO actors_numbers VALUES (1)")
    assert numbers(file) == []


def test_many_threads_write_all_that_they_have(file: SqliteFile) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: add(file, number), range(200)))
    assert numbers(file) == list(range(200))


def test_threads_that_end_leave_nothing_open(file: SqliteFile) -> None:
    add(file, 1_000)
    for number in range(50):
        thread = threading.Thread(target=add, args=(file, number))
        thread.start()
        thread.join()
    # Its own, and one that SQLite keeps for the next, since to close it would take the locks of the first away.
    assert open_files(file) <= 2
    file.close()
    assert open_files(file) == 0


def test_a_file_that_is_given_up_leaves_nothing_open(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "actors.db", schema=SCHEMA)
    add(file, 1)
    assert open_files(file) == 1
    kept, file = file.path, SqliteFile(file.path, schema=SCHEMA)
    gc.collect()
    assert (kept, open_files(file)) == (file.path, 0)


def test_closing_closes_the_connections_of_all_threads(file: SqliteFile) -> None:
    together, done = threading.Barrier(5), threading.Event()

    def use(number: int) -> None:
        add(file, number)
        together.wait(30)
        done.wait(30)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    together.wait(30)
    assert open_files(file) == 4
    file.close()
    assert open_files(file) == 0
    done.set()
    for thread in threads:
        thread.join()


def test_closing_waits_for_no_transaction_and_ends_none(file: SqliteFile) -> None:
    with file.write() as connection:
        connection.execute("INSERT INTO actors_numbers VALUES (1)")
        file.close()
        connection.execute("INSERT INTO actors_numbers VALUES (2)")
    assert open_files(file) == 0
    assert numbers(file) == [1, 2]


def test_the_log_is_gone_when_all_is_closed(file: SqliteFile) -> None:
    add(file, 1)
    file.close()
    assert [path.name for path in file.path.parent.iterdir()] == ["actors.db"]


def test_a_process_that_ends_closes_all(file: SqliteFile) -> None:
    """Also where a daemon is at it; what that has not ended is undone."""
    program = """
import sys, threading
from middleware.stores.sqlite import SqliteFile
file = SqliteFile(sys.argv[1], schema=["CREATE TABLE IF NOT EXISTS actors_numbers (number INTEGER PRIMARY KEY)"])
writing = threading.Event()
def write():
    with file.write() as connection:
        connection.execute("INSERT INTO actors_numbers VALUES (2)")
        writing.set()
        threading.Event().wait()
with file.write() as connection:
    connection.execute("INSERT INTO actors_numbers VALUES (1)")
if len(sys.argv) > 2:
    threading.Thread(target=write, daemon=True).start()
    writing.wait()
"""
    for arguments in ([], ["with a daemon"]):
        command = [sys.executable, "-W", "error", "-c", program, str(file.path), *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert [path.name for path in file.path.parent.iterdir()] == ["actors.db"] or arguments
        assert numbers(file) == [1]
        with file.write() as connection:
            connection.execute("DELETE FROM actors_numbers")
        file.close()


def test_another_thread_that_writes_for_too_long_is_not_waited_for(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "actors.db", schema=SCHEMA, timeout_s=0.1)
    with file.write(), ThreadPoolExecutor(1) as other, pytest.raises(FileUnavailable, match="another thread"):
        other.submit(add, file, 1).result()


def test_a_path_is_absolute_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = SqliteFile("actors.db", schema=SCHEMA)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    add(file, 1)
    assert file.path == tmp_path / "actors.db"
    assert file.path.exists()


@pytest.mark.parametrize("name", ["", ":memory:", "file:actors.db?mode=memory"])
def test_a_name_of_no_file_is_refused(name: str) -> None:
    with pytest.raises(FileRefused, match="names no file that processes can share"):
        SqliteFile(name, schema=SCHEMA)


def test_readers_without_a_gap_do_not_let_the_log_grow_for_ever(
    file: SqliteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("middleware.stores.sqlite.log.LARGE_BYTES", 100_000)
    log, over = Path(f"{file.path}-wal"), threading.Event()
    with file.write() as connection:
        connection.execute("CREATE TABLE big (content BLOB)")

    def follow(mine: threading.Semaphore, other: threading.Semaphore) -> None:
        mine.acquire()
        while not over.is_set():
            with file.read():
                other.release()
                mine.acquire()
        other.release(2)

    def write() -> bool:
        with file.write() as connection:
            connection.execute("INSERT INTO big VALUES (zeroblob(10000))")
        sizes.append(log.stat().st_size)
        return max(sizes) > sizes[-1]

    sizes: list[int] = []
    turns = threading.Semaphore(1), threading.Semaphore(0)
    with ThreadPoolExecutor(2) as threads:
        readers = [threads.submit(follow, *each) for each in (turns, turns[::-1])]
        until(write, seconds=60, what="a log that is cut")
        over.set()
        for reader in readers:
            reader.result()
    assert max(sizes) > 100_000 > sizes[-1]
