"""Delayed messages in their table, as operators deal with them."""

from __future__ import annotations

from actors.brokers.sqlite import waiting
from middleware.stores.sqlite import SqliteFile
from tests.unit.brokers.sqlite.table import LATER, Table


def test_queues_without_delayed_messages_are_left_out(file: SqliteFile, table: Table) -> None:
    table.put("a", queue="ready")
    for queue in ("b", "a", "c"):
        table.put("x", "y", queue=queue, available=LATER)
    with file.read() as connection:
        assert waiting.names(connection) == ["a", "b", "c"]


def test_the_soonest_due_come_first_behind_a_place(file: SqliteFile, table: Table) -> None:
    for name, due in (("c", LATER + 2), ("a", LATER), ("b", LATER)):
        table.put(name, available=due)
    with file.read() as connection:
        places = waiting.places(connection, "default", None, after=(0, 0), limit=10)
        assert [waiting.at(connection, place).message_id for place in places] == ["a", "b", "c"]
        assert waiting.places(connection, "default", "job", after=places[0], limit=1) == [places[1]]
        assert waiting.places(connection, "default", "other", after=(0, 0), limit=10) == []


def test_ids_name_what_is_delayed_and_all_copies_of_it(file: SqliteFile, table: Table) -> None:
    table.put("a", "b", available=LATER)
    table.put("a", available=LATER + 1)
    table.put("a", "ready")
    with file.read() as connection:
        found = waiting.named(connection, ["a", "ready", "nobody", "\udcff"])
    assert [(each.message_id, each.due) for each in found] == [("a", LATER), ("a", LATER + 1)]


def test_what_is_dropped_is_gone_and_what_is_released_is_ready(file: SqliteFile, table: Table) -> None:
    table.put("a", "b", "c", available=LATER)
    with file.write() as connection:
        rows = {each.message_id: each.row for each in waiting.named(connection, ["a", "b", "c"])}
        waiting.drop(connection, [rows["a"]])
        waiting.release(connection, [rows["b"]])
    counts = table.count()
    assert (counts.ready, counts.delayed) == (1, 1)
