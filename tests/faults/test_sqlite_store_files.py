"""Files that can't be used: each is refused with what is wrong, and what to do; what is in them stays there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from middleware.stores import Claim, Ending, StoreUnavailable, Verdict
from middleware.stores.sqlite import FileRefused, mounts
from middleware.stores.sqlite.errors import translated
from tests.conformance.stores.children import Tell, tell_of
from tests.conformance.stores.sqlite_files import fill, refusal, store_at
from tests.conformance.stores.subject import claim, finish, verdict

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "actors.db"


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that any user can reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def changed_by(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql)


def as_nobody(work: Any) -> list[Any]:
    def less(tell: Tell) -> None:
        # To root nothing is read-only.
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        work(tell)

    return tell_of(less)


def test_a_file_that_its_user_may_not_write_is_refused(open_to_all: Path) -> None:
    path = open_to_all / "actors.db"
    fill(path, 3)
    path.chmod(0o444)
    before = path.read_bytes()
    [text] = as_nobody(lambda tell: tell(refusal(store_at(path))))
    assert text == (
        f"the store can't serve: {path}: this process may not read and write it; give its user the right, "
        "or name another file"
    )
    assert path.read_bytes() == before


def test_a_folder_that_its_user_may_not_write_is_refused(open_to_all: Path) -> None:
    folder = open_to_all / "folder"
    folder.mkdir()
    path = folder / "actors.db"
    fill(path, 3)
    path.chmod(0o666)
    folder.chmod(0o555)
    [text] = as_nobody(lambda tell: tell(refusal(store_at(path))))
    assert f"{path}: this process may not make files in {folder}, where SQLite keeps its log beside it" in text
    assert os.listdir(folder) == ["actors.db"]  # noqa: PTH208


def test_a_read_only_connection_is_told_as_a_read_only_file(path: Path) -> None:
    fill(path, 1)
    with (
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection,
        pytest.raises(sqlite3.OperationalError) as caught,
    ):
        connection.execute("DELETE FROM actors_records")
    told = translated(caught.value, path)
    assert isinstance(told, FileRefused)
    assert str(told).startswith(f"{path}: it is read-only; the process must be able to write it")


def test_damage_in_the_middle_is_told_and_left_as_it_is(path: Path) -> None:
    fill(path, 200)
    content = bytearray(path.read_bytes())
    # The first page tells of the tables; of the others each one is hit.
    for start in range(4096, len(content), 4096):
        content[start : start + 512] = b"\xa5" * 512
    path.write_bytes(content)
    text = refusal(store_at(path))
    assert text.startswith(f"the store can't serve: {path}: it is damaged; it was left as it is; stop all that use it")
    assert "restore a backup, or save what is left with: sqlite3 FILE .recover | sqlite3 NEW" in text
    assert "(SQLITE_CORRUPT" in text
    assert path.read_bytes() == content


def test_a_file_of_something_else_is_told_and_left_as_it_is(path: Path) -> None:
    content = b"Dear customer,\n" * 1_000
    path.write_bytes(content)
    text = refusal(store_at(path))
    assert f"{path}: it is no SQLite database, or its first bytes are damaged; it was left as it is" in text
    assert "(SQLITE_NOTADB: file is not a database)" in text
    assert path.read_bytes() == content


def test_tables_of_a_newer_version_are_refused_and_left_as_they_are(path: Path) -> None:
    fill(path, 3)
    changed_by(path, "UPDATE actors_schema SET version = 7")
    before = path.read_bytes()
    assert refusal(store_at(path)) == (
        f"the store can't serve: {path}: its tables are of version 7, and this release knows none above 1; "
        "run the release that made them, or name another file"
    )
    assert path.read_bytes() == before


def test_a_process_that_runs_stops_at_tables_that_a_newer_release_has_changed(path: Path) -> None:
    store = store_at(path)
    held = claim(store)
    changed_by(path, "UPDATE actors_schema SET version = 2")
    assert "its tables are of version 2, and this release knows none above 1" in refusal(store)
    with pytest.raises(StoreUnavailable, match="version 2"):
        store.inspect("v1.k")
    changed_by(path, "UPDATE actors_schema SET version = 1")
    assert finish(store, held, Ending.DONE)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_was_removed_under_a_process_is_written_no_more(path: Path, replaced: bool) -> None:
    store = store_at(path)
    held: Claim = claim(store)
    there = sorted(path.parent.iterdir())
    for each in there:
        each.rename(f"{each}.aside")
    if replaced:
        fill(path, 1)
    assert f"{path}: it was removed or replaced while this process had it open; stop all that use it" in refusal(store)
    assert path.exists() == replaced
    for each in there:
        each.with_name(f"{each.name}.aside").rename(each)
    assert finish(store, held, Ending.DONE)


def test_tables_that_were_dropped_under_a_process_are_missed(path: Path) -> None:
    store = store_at(path)
    claim(store)
    changed_by(path, "DROP TABLE actors_schema")
    assert f"{path}: its tables were removed while this process had it open" in refusal(store)


def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    wrong = {
        tmp_path / "missing" / "actors.db": f"there is no folder {tmp_path}/missing; make it",
        tmp_path: "that is a folder; name a file in it",
        pipe: "that is no regular file; name one, or one that is yet to be made",
    }
    assert [refusal(store_at(path)) for path in wrong] == [
        f"the store can't serve: {path}: {text}" for path, text in wrong.items()
    ]


def test_a_folder_that_is_made_later_is_found(tmp_path: Path) -> None:
    store = store_at(tmp_path / "later" / "actors.db")
    assert "make it" in refusal(store)
    (tmp_path / "later").mkdir()
    assert verdict(store) is Verdict.RUN


def test_a_network_file_system_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = path.with_name("mountinfo")
    table.write_text(f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:50 / {path.parent} rw shared:1 - nfs4 host:/srv rw\n")
    monkeypatch.setattr(mounts, "TABLE", table)
    assert refusal(store_at(path)) == (
        f"the store can't serve: {path}: it is on a network file system (nfs4, mounted at {path.parent}), and SQLite's "
        "write-ahead log needs memory that all processes share, which is that of one machine; name a file on a local "
        "disk, or use RabbitMQ and Redis"
    )
    assert not path.exists()


def test_an_old_sqlite_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.34.1")
    assert f"{path}: this Python has SQLite 3.34.1, and 3.35.0 or newer is needed" in refusal(store_at(path))
    assert not path.exists()
