"""Nobody uses a file that is moved, or was, by mistake."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from actors.brokers.admin import Admin
from actors.brokers.sqlite import SqliteEngine, SqliteOptions, holders
from actors.brokers.sqlite.bell import Ear
from actors.errors import EnqueueError
from actors.migrating import InUse, MigrationRefused, abandon, courier, file_to_move
from actors.migrating.file import alone
from actors.migrating.marker import begin
from middleware.letter import now_ms
from middleware.stores import Request, StoreUnavailable
from middleware.stores.sqlite import FileRefused, SqliteFile
from periodic.sqlite.desk import report
from periodic.sqlite.lock import Lock
from periodic.status import Role, Status
from tests.integration.migrating.site import Site, arguments, file_of

MOVED = (
    r"actors\.db: all that it keeps goes to amqp://.*ACTORS_BROKER_URL.*actors migrate --from sqlite:////.* --abandon"
)


def marked(site: Site) -> None:
    begin(file_to_move(site.url), site.to.name)


def fresh(site: Site) -> SqliteFile:
    """The file as a process opens it that starts now."""
    return file_of(site.url.removeprefix("sqlite:///"))


def test_a_worker_that_has_messages_is_named(site: Site) -> None:
    site.send(1)
    with site.file.write() as connection:
        holders.enter(connection, "default", until=now_ms() + 60_000, worker="box:77")
    with pytest.raises(InUse, match=r"worker box:77 has messages of queue 'default'.*Stop all workers and schedulers"):
        site.move()
    assert site.send(2)


def test_a_worker_that_has_nothing_to_do_is_noticed(site: Site) -> None:
    with closing(Ear(site.engine._bell, "default")), pytest.raises(InUse, match="workers wait for messages of 1 queue"):
        site.move()
    assert site.move().is_over


def test_a_scheduler_is_named(site: Site) -> None:
    status = Status("box:78", file="")
    status.enter(Role.STANDING_BY, datetime.now(UTC))
    with site.file.write() as connection:
        report(connection, status, datetime.now(UTC))
    with pytest.raises(InUse, match="scheduler box:78 is standing by"):
        site.move()


def test_a_worker_whose_lease_is_over_is_no_hindrance(site: Site) -> None:
    site.send(1)
    with site.file.write() as connection:
        lost = holders.enter(connection, "default", until=now_ms() - 1, worker="box:77")
        connection.execute("UPDATE actors_message SET holder = ?", (lost,))
    assert site.move().moved["queued"] == 1
    assert arguments(site.take(site.topology.work("default"))) == [1]


def test_who_starts_while_it_is_moved_or_after_is_refused(site: Site) -> None:
    marked(site)
    for _ in range(2):
        with pytest.raises(FileRefused, match=MOVED), fresh(site).read():
            pass
        with pytest.raises(EnqueueError, match=MOVED):
            send_as_new(site)
        assert site.move().is_over
    with pytest.raises(FileRefused, match=MOVED), site.file.read():
        pass


def send_as_new(site: Site) -> None:
    engine, site.engine = site.engine, SqliteEngine(SqliteOptions(fresh(site)))
    try:
        site.send(1)
    finally:
        site.engine = engine


def test_who_has_it_open_may_send_until_it_is_empty_and_do_nothing_else(site: Site) -> None:
    site.send(1)
    marked(site)
    site.send(2)
    with pytest.raises(FileRefused, match=MOVED), site.file.write() as connection:
        holders.enter(connection, "default", until=now_ms() + 60_000, worker="box:77")
    with pytest.raises(FileRefused, match=MOVED), site.file.write() as connection:
        Lock(site.file, "box:78").take(connection)
    with pytest.raises(StoreUnavailable, match=MOVED):
        site.store.exchange([], [Request("v1.k", "job", "k", "m", "t")])

    assert site.move().is_over

    with pytest.raises(EnqueueError, match=MOVED):
        site.send(3)
    assert arguments(site.take(site.topology.work("default"))) == [1, 2]


def test_a_send_in_an_application_s_own_transaction_is_refused_too(site: Site) -> None:
    site.move()
    refused = pytest.raises(EnqueueError, match="all that it keeps goes to")
    with closing(sqlite3.connect(site.file.path)) as connection, site.engine.joined(connection), refused:
        site.send(1)
    assert site.left() == 0


def test_a_leader_that_was_frozen_leads_no_more(site: Site) -> None:
    lock = Lock(site.file, "box:78")
    with site.file.write() as connection:
        assert lock.take(connection)
    marked(site)
    with pytest.raises(Exception, match="has taken the lock"), site.file.write() as connection:
        lock.hold(connection)


def test_one_process_at_a_time_moves_a_file(site: Site) -> None:
    with alone(file_to_move(site.url)):
        with pytest.raises(MigrationRefused, match="another process moves what is in it"):
            site.move()
        with pytest.raises(MigrationRefused, match="another process moves what is in it"):
            abandon(file_to_move(site.url))
    assert site.move().is_over


def test_a_connection_that_rabbitmq_has_not_given_up_yet_is_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.send(1)
    marked(site)
    marker = begin(file_to_move(site.url), site.to.name)
    nodes = site.to.engine.options.nodes
    monkeypatch.setattr(courier, "GIVEN_UP_WITHIN_S", 1.0)
    refused = pytest.raises(MigrationRefused, match="another process moves the same file just now")
    with Admin(nodes, timeout_s=10) as admin, courier.Courier(admin, site.topology, marker.name), refused:
        site.move()
    assert site.move().moved["queued"] == 1


def test_a_migration_to_another_place_is_refused(site: Site) -> None:
    begin(file_to_move(site.url), "amqp://elsewhere")
    with pytest.raises(MigrationRefused, match=r"on its way to amqp://elsewhere, and not to .*--abandon"):
        site.move()


def test_what_is_over_can_be_run_again(site: Site) -> None:
    site.send(1)
    assert site.move().moved["queued"] == 1
    again = site.move()
    assert (again.moved, again.is_over) == ({}, True)


def test_a_migration_that_is_given_up_leaves_the_file_as_if_nothing_had_been(site: Site) -> None:
    with site.file.read() as connection:
        before = connection.execute("SELECT name FROM sqlite_schema ORDER BY name").fetchall()
    site.move()
    assert abandon(file_to_move(site.url)) is not None
    assert abandon(file_to_move(site.url)) is None
    site.send(1)
    send_as_new(site)
    with fresh(site).write() as connection:
        holders.enter(connection, "default", until=0, worker="box:77")
        assert Lock(site.file, "box:78").take(connection)
        assert connection.execute("SELECT name FROM sqlite_schema ORDER BY name").fetchall() == before
    assert site.move().moved["queued"] == 2
