"""`actors check --connect` and `actors queues` on a file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from actors.checks import place
from services.deadline import until
from tests.integration.shops import EmbeddedShop

PERIODIC = """
    from actors import actor
    from periodic import every

    @actor(queue_name="reports", periodic=every(hours=1, name="hourly", queue="night"))
    def report() -> None: ...
"""


@pytest.fixture
def shop(tmp_path: Path) -> EmbeddedShop:
    return EmbeddedShop(tmp_path)


def found(shop: EmbeddedShop, check: str, *arguments: str, status: int = 0, **env: str) -> tuple[str, str]:
    """What is found of the file, as status and words."""
    finding = shop.findings(check, *arguments, status=status, **env)[str(shop.file)]
    return finding["status"], finding["what"]


def test_looking_makes_no_file(shop: EmbeddedShop) -> None:
    assert found(shop, "file") == ("ok", "does not exist yet; the first worker or the first send makes it")
    assert shop.queues().keys() == {"default", "reports"}
    assert shop.json("dead", "list")["letters"] == shop.json("delayed", "list")["delayed"] == []
    for command in (["dead", "replay", "--yes"], ["dead", "discard", "--yes"], ["dead", "export"]):
        assert shop.actors(*command).returncode == 0
    assert shop.actors("delayed", "run-now", "m1").returncode == 1
    assert not shop.file.exists()


def test_a_check_leaves_the_file_of_an_application_as_it_is(shop: EmbeddedShop) -> None:
    with closing(sqlite3.connect(shop.file)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    before = shop.file.read_bytes()
    assert found(shop, "file") == ("ok", "can be read and written")
    assert found(shop, "file-version")[1] == "has none of our tables yet; its first use makes them"
    assert shop.queues()["default"]["ready"] == 0
    assert found(shop, "file-log")[1] == "journal mode 'delete'; its first use makes that a write-ahead log"
    assert shop.file.read_bytes() == before


def test_neither_rabbitmq_nor_redis_is_needed(shop: EmbeddedShop) -> None:
    report = shop.json("check", "--connect")
    assert not {each["check"] for each in report["findings"]} & {"rabbitmq", "redis"}
    nowhere = {"ACTORS_STORE_URL": "redis://127.0.0.1:1/0"}
    assert shop.findings("redis", "--timeout", "0.5", status=3, **nowhere).popitem()[1]["status"] == "error"


def test_the_file_of_the_keys_is_looked_at_too(shop: EmbeddedShop) -> None:
    env = {"ACTORS_STORE_URL": "sqlite:///no/keys.db"}
    findings = shop.findings("file", status=3, **env)
    assert findings[str(shop.file)]["status"] == "ok"
    other = findings[str(shop.folder / "no" / "keys.db")]
    assert (other["status"], other["advice"]) == ("error", "make it")


def test_a_running_worker_leaves_nothing_to_warn_of(shop: EmbeddedShop) -> None:
    with shop.worker():
        report = shop.json("check", "--connect", "--strict")
        queues = shop.queues()
    findings = {(each["check"], each["subject"]): each["what"] for each in report["findings"]}
    assert report["status"] == "ok"
    assert findings["consumers", "default"] == "1 consumer, 0 messages ready"
    assert findings["file-version", str(shop.file)] == "our tables are of version 1"
    assert [(queue["consumers"], queue["unused"]) for queue in queues.values()] == [(1, False)] * 2


def test_what_waits_is_counted_and_nobody_takes_it(shop: EmbeddedShop) -> None:
    for arguments in (["[1]"], ["[2]"], ["[3]", "--delay", "1h"]):
        assert shop.actors("send", "charge", "--args", *arguments).returncode == 0
    what = shop.findings("consumers")["default"]["what"]
    assert what == "no consumer, 2 messages ready, 1 delayed"
    assert shop.queues()["default"] == {
        "queue": "default",
        "actors": ["charge", "refund"],
        "ready": 2,
        "delayed": 1,
        "in_hand": 0,
        "consumers": 0,
        "dead": 0,
        "unused": False,
        "physical": [],
    }
    [heading, default, reports] = shop.actors("queues").stdout.splitlines()
    assert heading.split()[:4] == ["QUEUE", "READY", "DELAYED", "IN"]
    assert default.split()[:6] == ["default", "2", "1", "0", "0", "0"]
    assert reports.split()[-2:] == ["unused", "report"]


def test_what_no_loaded_actor_takes_is_named(shop: EmbeddedShop) -> None:
    shop.actors("send", "charge", "--args", "[1]")
    shop.write("shop_tasks", 'from actors import actor\n\n@actor(queue_name="reports")\ndef report() -> None: ...\n')
    finding = shop.findings("queues")["default"]
    assert (finding["status"], finding["what"]) == ("warning", "1 message left, which no loaded actor takes any more")
    assert shop.queues()["default"]["actors"] == []


def test_a_queue_that_a_schedule_fills_and_nobody_empties_is_named(shop: EmbeddedShop) -> None:
    shop.write("shop_tasks", PERIODIC)
    assert shop.findings("consumers")["night"]["what"] == "no consumer; what enqueues there: hourly"


def test_the_queue_of_a_schedule_that_was_added_at_run_time_is_looked_at_too(shop: EmbeddedShop) -> None:
    shop.write("shop_tasks", PERIODIC)
    with shop.process("-m", "periodic") as log:
        until(lambda: "leads from" in log.read_text(), seconds=30, what="a leader")
        added = shop.python(
            "-m", "periodic", "add", "extra", "--actor", "report", "--every", "1h", "--queue", "elsewhere"
        )
        assert added.returncode == 0, added.stderr
    assert shop.findings("consumers")["elsewhere"]["what"] == "no consumer; what enqueues there: extra"


def test_dead_letters_are_named(shop: EmbeddedShop) -> None:
    shop.write("shop_tasks", "from actors import actor\n\n@actor(max_retries=0)\ndef job() -> None: raise ValueError\n")
    assert shop.actors("send", "job").returncode == 0
    with shop.process("-m", "dramatiq", "actors", "--processes", "1", "--threads", "1"):
        until(lambda: shop.file.exists() and shop.dead() == 1, seconds=30, what="the dead letter")
    assert shop.findings("dead-letters")["default"]["what"] == "1 dead letter to decide on"
    assert shop.queues()["default"]["dead"] == 1


def test_a_file_of_a_newer_release_is_an_error(shop: EmbeddedShop) -> None:
    shop.actors("send", "charge", "--args", "[1]")
    with closing(sqlite3.connect(shop.file)) as connection, connection:
        connection.execute("UPDATE actors_schema SET version = 99")
    status, what = found(shop, "file-version", status=1)
    assert (status, "of version 99" in what) == ("error", True)


def test_a_file_that_is_damaged_is_an_error_with_advice(shop: EmbeddedShop) -> None:
    shop.file.write_bytes(b"not a database" * 100)
    finding = shop.findings("file", status=3)[str(shop.file)]
    assert finding["what"] == "it is no SQLite database, or its first bytes are damaged"
    assert "restore a backup" in finding["advice"]


def test_a_file_that_stays_locked_is_an_error(shop: EmbeddedShop) -> None:
    shop.actors("send", "charge", "--args", "[1]")
    with closing(sqlite3.connect(shop.file, isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        assert "locked" in found(shop, "file", "--timeout", "0.2", status=3)[1]


def test_a_full_disk_and_a_log_that_grows_are_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "actors.db"
    monkeypatch.setattr(place, "ROOM_BYTES", 2**62)
    monkeypatch.setattr(place, "LARGE_BYTES", 100)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE orders (id INTEGER)")
        statuses = {finding.check: finding.status for finding in place.check_place(path, 5.0)}
    assert statuses == {"file": "ok", "file-version": "ok", "file-log": "warning", "file-disk": "warning"}


def test_a_setting_of_a_file_that_could_never_be_is_found_without_connecting(shop: EmbeddedShop) -> None:
    report = shop.json("check", status=2, ACTORS_BROKER_URL="sqlite:///:memory:")
    [error] = [each for each in report["findings"] if each["status"] == "error"]
    assert error["check"] == "settings"
    assert "names no file" in error["what"]
