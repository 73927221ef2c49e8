"""What a claim costs does not depend on how much there is in the queue."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from actors.brokers.sqlite import dead_letters, holders, queues, tick_runs
from actors.brokers.sqlite.queues import Queued
from actors.brokers.sqlite.tick_runs import TickRun
from middleware.stores.sqlite import SqliteFile
from periodic.pace import Pace
from tests.unit.brokers.sqlite.table import LATER, NOW

Call = Callable[[sqlite3.Connection], object]

CALLS: dict[str, Call] = {
    "release_due": lambda connection: queues.release_due(connection, "default", now=NOW),
    "claim": lambda connection: queues.claim(connection, "default", 1, limit=100),
    "next_moment": lambda connection: queues.next_moment(connection, "default"),
    "evict": lambda connection: holders.evict(connection, now=LATER + 1),
    "leave": lambda connection: holders.leave(connection, 1),
    "reconcile": lambda connection: holders.reconcile(connection, 1, ()),
    "expire": lambda connection: dead_letters.expire(connection, now=NOW),
    "count": lambda connection: queues.count(connection, "default", now=NOW),
    "count the dead": lambda connection: dead_letters.count(connection, "default", now=NOW),
    "note": lambda connection: tick_runs.note(connection, TickRun(Pace.DAYS, b"run")),
    "drop": lambda connection: queues.drop(connection, "default", limit=100),
}
# What looks at each of what it counts, or at each that it has room for.
LINEAR = ("count", "note")
# The holders are as many as there are consumers.
SMALL = ("actors_holder",)


def filled(file: SqliteFile, each: int) -> None:
    with file.write() as connection:
        for available in (0, LATER):
            messages = [Queued("default", str(n), "job", b"body", NOW, available=available) for n in range(each)]
            queues.put(connection, messages)


def steps(connection: sqlite3.Connection, call: Call) -> int:
    """How many steps of SQLite's machine *call* takes."""
    taken = 0

    def step() -> int:
        nonlocal taken
        taken += 1
        return 0

    connection.set_progress_handler(step, 1)
    try:
        call(connection)
    finally:
        connection.set_progress_handler(None, 0)
    return taken


@pytest.mark.parametrize("name", CALLS)
def test_every_statement_finds_its_rows_by_an_index(name: str, file: SqliteFile) -> None:
    seen: list[str] = []
    with file.write() as connection:
        holders.enter(connection, "default", until=NOW, worker="here:1")
        connection.set_trace_callback(seen.append)
        try:
            CALLS[name](connection)
        finally:
            connection.set_trace_callback(None)
        plans = {
            each: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {each}")]
            for each in seen
            if not each.startswith(("INSERT", "--"))
        }

    assert plans
    for statement, plan in plans.items():
        for line in plan:
            assert "TEMP B-TREE" not in line, statement
            assert name != "count the dead" or "COVERING INDEX" in line, line
            assert not line.startswith("SCAN") or line.endswith(SMALL), (statement, line)


@pytest.mark.parametrize("name", [name for name in CALLS if name not in LINEAR])
def test_a_call_costs_the_same_among_six_thousand_messages(name: str, file: SqliteFile) -> None:
    filled(file, 200)
    with file.write() as connection:
        few = steps(connection, CALLS[name])
    with file.write() as connection:
        connection.execute("DELETE FROM actors_message")
    filled(file, 3_000)
    with file.write() as connection:
        assert steps(connection, CALLS[name]) <= few * 1.1
