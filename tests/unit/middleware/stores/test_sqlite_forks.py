"""A file in a process that forks: neither side has the other's connections, nor loses its own locks."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from middleware.stores.sqlite import FileRefused, SqliteFile
from tests.conformance.stores.children import Child
from tests.conformance.stores.numbers import SCHEMA, add, numbers


@pytest.fixture
def file(tmp_path: Path) -> SqliteFile:
    return SqliteFile(tmp_path / "actors.db", schema=SCHEMA, timeout_s=5)


def in_child(work: Callable[[], None]) -> int:
    """Do *work* in a forked child; return its exit status."""
    with Child(lambda _: work()) as child:
        return child.wait()


def test_a_child_has_connections_of_its_own(file: SqliteFile) -> None:
    add(file, 1)
    assert in_child(lambda: add(file, 2)) == 0
    add(file, 3)
    assert numbers(file) == [1, 2, 3]


def test_a_fork_waits_for_the_transactions_of_other_threads(file: SqliteFile) -> None:
    writing, over = threading.Event(), threading.Event()

    def hold() -> None:
        with file.write() as connection:
            writing.set()
            over.wait(30)
            connection.execute("INSERT INTO actors_numbers VALUES (1)")

    with ThreadPoolExecutor(2) as threads:
        held = threads.submit(hold)
        writing.wait(30)
        threading.Timer(0.2, over.set).start()
        assert in_child(lambda: add(file, 2)) == 0
        held.result()
    assert numbers(file) == [1, 2]


def test_all_threads_go_on_after_a_fork(file: SqliteFile) -> None:
    with ThreadPoolExecutor(4) as threads:
        added = [threads.submit(add, file, number) for number in range(200)]
        assert [in_child(partial(add, file, number)) for number in range(1000, 1005)] == [0] * 5
        for each in added:
            each.result()
    assert numbers(file) == [*range(200), *range(1000, 1005)]


def test_a_child_keeps_its_locks_when_its_parent_closes(file: SqliteFile) -> None:
    """Else the parent, the last as it seems, removes the log that the child writes to."""
    add(file, 1)
    ready, go = os.pipe(), os.pipe()

    def write_on() -> None:
        with file.read():
            os.write(ready[1], b"x")
            os.read(go[0], 1)
        add(file, 2)

    with ThreadPoolExecutor(1) as threads:
        child = threads.submit(in_child, write_on)
        os.read(ready[0], 1)
        add(file, 3)
        file.close()
        assert Path(f"{file.path}-wal").exists()
        os.write(go[1], b"x")
        assert child.result() == 0
    assert numbers(file) == [1, 2, 3]
    for end in (*ready, *go):
        os.close(end)


def test_a_child_can_not_end_its_parents_transaction(file: SqliteFile) -> None:
    def leave() -> None:
        with pytest.raises(RuntimeError, match="forked within a transaction"):
            block.__exit__(None, None, None)
        with pytest.raises(FileRefused, match="forked while its parent was in a transaction"):
            add(file, 3)

    block = file.write()
    connection = block.__enter__()
    connection.execute("INSERT INTO actors_numbers VALUES (1)")
    assert in_child(leave) == 0
    connection.execute("INSERT INTO actors_numbers VALUES (2)")
    block.__exit__(None, None, None)
    assert numbers(file) == [1, 2]
