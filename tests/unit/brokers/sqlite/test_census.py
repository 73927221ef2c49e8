"""Which queues there are, and who takes from them."""

from __future__ import annotations

import os
from pathlib import Path

from actors.brokers.sqlite import census
from actors.brokers.sqlite.audience import listeners
from actors.brokers.sqlite.bell import Bell, Ear
from middleware.stores.sqlite import SqliteFile
from tests.unit.brokers.sqlite.graveyard import letter, put_in_graves
from tests.unit.brokers.sqlite.table import LATER, NOW, Table


def test_a_queue_is_there_whatever_state_its_messages_are_in(file: SqliteFile, table: Table) -> None:
    table.put("a", queue="ready")
    table.put("b", queue="delayed", available=LATER)
    table.put("c", queue="held")
    table.claim(table.enter("held"), queue="held")
    put_in_graves(file, letter("d", queue="dead"))
    with file.read() as connection:
        assert census.names(connection) == {"ready", "delayed", "held", "dead"}


def test_those_are_counted_whose_lease_is_not_over(file: SqliteFile, table: Table) -> None:
    table.enter("default")
    table.enter("default", until=NOW)
    table.enter("reports")
    with file.read() as connection:
        assert census.holders(connection, "default", now=NOW) == 1


def test_those_who_hear_the_bell_are_counted(tmp_path: Path) -> None:
    bell = Bell(tmp_path / "actors.db")
    assert listeners(bell, "default") == 0
    ears = [Ear(bell, queue) for queue in ("default", "default", "reports")]
    assert (listeners(bell, "default"), listeners(bell, "reports")) == (2, 1)
    # And are not rung for that
    assert [ear.wait(0) for ear in ears] == [False] * 3
    for ear in ears:
        ear.close()
    assert listeners(bell, "default") == 0


def test_one_that_was_killed_hears_nothing(tmp_path: Path) -> None:
    bell = Bell(tmp_path / "actors.db")
    alive = Ear(bell, "default")
    child = os.fork()
    if not child:
        Ear(bell, "default")
        os._exit(0)
    os.waitpid(child, 0)
    assert len(list(bell.folder.iterdir())) == 2
    assert listeners(bell, "default") == 1
    alive.close()
