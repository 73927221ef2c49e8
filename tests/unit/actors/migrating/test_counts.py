"""What is counted of a file that is to be moved."""

from pathlib import Path

import pytest

from actors.brokers.sqlite import dead_letters, queues
from actors.brokers.sqlite.dead_letters import Burial
from actors.errors import SettingsError
from actors.migrating import Counts, Migration, file_to_move
from middleware import Letter
from middleware.letter import now_ms
from middleware.stores import Request
from middleware.stores.sqlite import SqliteFile, SqliteStore
from tests.unit.brokers.sqlite.table import message

HOUR_MS = 3_600_000


@pytest.fixture
def file(tmp_path: Path) -> SqliteFile:
    (tmp_path / "actors.db").touch()
    return file_to_move(f"sqlite:///{tmp_path / 'actors.db'}")


def look(file: SqliteFile) -> Counts:
    counts, users = Migration(file, moved=lambda *_: None).look()
    assert users == []
    return counts


def bury(file: SqliteFile, number: int, expires: int | None) -> None:
    letter = Letter.of_body(str(number).encode(), ValueError(), queue="slow")
    with file.write() as connection:
        dead_letters.bury(connection, Burial(letter, b"", expires))


def test_an_empty_file_has_nothing(file: SqliteFile) -> None:
    assert look(file) == Counts()


def test_messages_are_counted_by_queue_and_state(file: SqliteFile) -> None:
    with file.write() as connection:
        queues.put(connection, [message("a"), message("b", queue="slow"), message("c", available=now_ms() + HOUR_MS)])
    bury(file, 1, None)
    bury(file, 2, now_ms() + HOUR_MS)
    bury(file, 3, now_ms() - 1)

    counts = look(file)

    assert counts.queues == {
        "default": {"dead": 0, "delayed": 1, "queued": 1},
        "slow": {"dead": 2, "delayed": 0, "queued": 1},
    }
    assert (counts.queued, counts.delayed, counts.dead, counts.messages) == (2, 1, 2, 5)


def test_what_has_expired_is_not_counted(file: SqliteFile) -> None:
    now = now_ms()
    for clock, key in ((now - 10 * HOUR_MS, "old"), (now, "new")):
        store = SqliteStore(file, now=lambda clock=clock: clock)  # type: ignore[misc]
        store.exchange([], [Request(f"v1.{key}", "job", key, f"{key}-1", "t", ttl_ms=HOUR_MS)])
        store.open_group(key, 2, ttl_ms=HOUR_MS)
    counts = look(file)
    assert (counts.records, counts.aliases, counts.groups, counts.steps) == (1, 1, 1, 1)


def test_a_file_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no file"):
        file_to_move(f"sqlite:///{tmp_path / 'no.db'}")
    assert not (tmp_path / "no.db").exists()
