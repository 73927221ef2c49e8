"""What operators ask for is found by an index, and costs the same however much else there is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from actors.brokers.sqlite import census, graves, waiting
from actors.brokers.sqlite.queues import Queued, put
from actors.dead_letters import Selection
from middleware.stores.sqlite import SqliteFile
from tests.unit.brokers.sqlite.graveyard import NEWEST, letter, put_in_graves
from tests.unit.brokers.sqlite.table import LATER, NOW
from tests.unit.brokers.sqlite.test_cost import steps

Call = Callable[[sqlite3.Connection], object]


def page(wanted: Selection) -> Call:
    return lambda connection: graves.steps(
        connection, "default", wanted, now=NOW, limit=50, newest=NEWEST, after=(NOW, 20), whole=True
    )


CALLS: dict[str, Call] = {
    "steps": page(Selection()),
    "steps of an actor": page(Selection(actors=["job"], reasons=["exhausted"])),
    "steps since": page(Selection(since=NOW + 1, until=NOW + 100)),
    "steps by id": page(Selection(ids=["30", "letter-40"])),
    "newest": graves.newest,
    "arrivals": lambda connection: graves.arrivals(connection, ["default"], after=5, limit=50),
    "is_present": lambda connection: graves.is_present(connection, "letter-7", now=NOW),
    "remove": lambda connection: graves.remove(connection, [3, 7]),
    "names": waiting.names,
    "places": lambda connection: waiting.places(connection, "default", None, after=(LATER, 20), limit=50),
    "at": lambda connection: waiting.at(connection, (LATER, 7)),
    "named": lambda connection: waiting.named(connection, ["30", "40"]),
    "drop": lambda connection: waiting.drop(connection, [3, 7]),
    "release": lambda connection: waiting.release(connection, [4, 8]),
    "census": census.names,
    "holders": lambda connection: census.holders(connection, "default", now=NOW),
}
# Ids that were asked for, and consumers.
SMALL = ("json_each", "actors_holder")


def filled(file: SqliteFile, count: int) -> None:
    put_in_graves(file, *[letter(str(number), died=NOW + number) for number in range(count)])
    with file.write() as connection:
        put(connection, [Queued("default", str(n), "job", b"body", NOW, available=LATER + n) for n in range(count)])


@pytest.mark.parametrize("name", CALLS)
def test_every_statement_finds_its_rows_by_an_index(name: str, file: SqliteFile) -> None:
    filled(file, 60)
    seen: list[str] = []
    with file.write() as connection:
        connection.set_trace_callback(seen.append)
        try:
            CALLS[name](connection)
        finally:
            connection.set_trace_callback(None)
        plans = {
            each: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {each}")]
            for each in seen
            if not each.startswith("--")
        }

    assert plans
    for statement, plan in plans.items():
        for line in plan:
            assert not line.startswith("SCAN") or any(small in line for small in SMALL), (statement, line)
            # What was named one by one is sorted, and letters that died in one millisecond: both are few.
            is_few = "json_each" in statement or "letter IN (" in statement or "RIGHT PART OF ORDER BY" in line
            assert "TEMP B-TREE" not in line or is_few, (statement, line)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_costs_the_same_among_six_thousand(name: str, file: SqliteFile) -> None:
    filled(file, 200)
    with file.write() as connection:
        few = steps(connection, CALLS[name])
    with file.write() as connection:
        for table in ("actors_message", "actors_dead_letter"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("DELETE FROM sqlite_sequence")
    filled(file, 3_000)
    with file.write() as connection:
        assert steps(connection, CALLS[name]) <= few * 1.1
