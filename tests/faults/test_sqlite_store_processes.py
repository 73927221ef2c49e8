"""Many processes at one file, and processes that are killed at it."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest

from middleware.stores import Claim, Ending, Outcome, State, Store, Verdict
from middleware.stores.sqlite import SCHEMA, SqliteFile, SqliteStore, file
from middleware.stores.sqlite.opening import connect
from services.deadline import until
from tests.conformance.stores import numbers
from tests.conformance.stores.children import Child, Tell
from tests.conformance.stores.subject import begin, request

PROCESSES, KEYS, BATCH, TURNS = 4, 200, 20, 5_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "actors.db"


def store_at(path: Path) -> Store:
    return SqliteStore(SqliteFile(path, schema=SCHEMA))


def is_sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def run_batches(path: Path, worker: str, keys: Callable[[int], list[str]], batches: int, tell: Tell) -> None:
    """Begin all keys and end what was begun; tell of each batch once its end is recorded: keys, fences."""
    store = store_at(path)
    ended: list[Outcome] = []
    for batch in range(batches + 1):
        asked = (
            [request(key, f"{worker} {key}", token=f"{worker} {key}") for key in keys(batch)] if batch < batches else []
        )
        counted, answers = store.exchange(ended, asked)
        assert all(counted)
        tell([[each.claim.request.key, each.claim.fence] for each in ended])
        pairs = zip(asked, answers, strict=True)
        ended = [Outcome(Claim(each, got.fence), Ending.DONE) for each, got in pairs if got.verdict is Verdict.RUN]


def own_batch(worker: str, batch: int) -> list[str]:
    return [f"{worker} {batch} {number}" for number in range(5)]


def shared_batch(batch: int) -> list[str]:
    return [f"k{number}" for number in range(batch * BATCH, (batch + 1) * BATCH)]


def has_recorded(children: list[Child]) -> bool:
    # The first that it tells of is of nothing.
    return any(len(child.told()) > 1 for child in children)


def die_at(deadly: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill this process before the statement number *deadly* of those that it makes from now on."""
    left = itertools.count(deadly - 1, -1)

    def trace(_: str) -> None:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def traced(path: Path, timeout_s: float) -> sqlite3.Connection:
        raw = connect(path, timeout_s)
        raw.set_trace_callback(trace)
        return raw

    monkeypatch.setattr(file, "connect", traced)


def test_processes_that_begin_the_same_keys_at_once_run_each_once(path: Path) -> None:
    start = time.time() + 0.5

    def work(worker: int, tell: Tell) -> None:
        until(lambda: time.time() > start, seconds=10, what="the start of all")
        run_batches(path, f"w{worker}", shared_batch, KEYS // BATCH, tell)

    with ExitStack() as stack:
        children = [stack.enter_context(Child(partial(work, worker))) for worker in range(PROCESSES)]
        assert [child.wait() for child in children] == [0] * PROCESSES
        told = [pair for child in children for batch in child.told() for pair in batch]
    assert sorted(key for key, _ in told) == sorted(f"k{number}" for number in range(KEYS))
    assert len({fence for _, fence in told}) == KEYS
    assert is_sound(path)


def test_processes_that_write_all_the_time_take_turns(path: Path) -> None:
    """With the pauses that SQLite makes by itself one of them waits while the others have thousands of turns."""

    def work(tell: Tell) -> None:
        shared = SqliteFile(path, schema=numbers.SCHEMA)
        turn: int | None = 0
        while turn is not None and turn < TURNS:
            with shared.write() as connection:
                turn = connection.execute("INSERT INTO actors_numbers VALUES (NULL)").lastrowid
            tell(turn)

    with ExitStack() as stack:
        children = [stack.enter_context(Child(work)) for _ in range(PROCESSES)]
        assert [child.wait() for child in children] == [0] * PROCESSES
        turns = [child.told() for child in children]
    assert sorted(itertools.chain(*turns)) == list(range(1, TURNS + PROCESSES))
    waits = [later - earlier for each in turns for earlier, later in itertools.pairwise(each)]
    assert max(waits) < TURNS / 4


def test_processes_killed_at_random_lose_nothing_that_they_were_told_is_recorded(path: Path) -> None:
    randomly = random.Random(7)
    told: list[tuple[str, int]] = []
    store = store_at(path)
    for round_ in range(12):
        names = [f"r{round_}w{worker}" for worker in range(3)]
        with ExitStack() as stack:
            works = [partial(run_batches, path, name, partial(own_batch, name), 1_000_000) for name in names]
            children = [stack.enter_context(Child(work)) for work in works]
            until(partial(has_recorded, children), seconds=30, what="a batch")
            time.sleep(randomly.uniform(0, 0.15))  # the instant of the kill
            for child in children:
                child.kill()
            assert [child.wait() for child in children] == [-signal.SIGKILL] * 3
            told += [(key, fence) for child in children for batch in child.told() for key, fence in batch]
        assert is_sound(path)
    assert len({fence for _, fence in told}) == len(told)
    for key, fence in told:
        record = store.inspect(f"v1.{key}")
        assert record is not None
        assert (record.state, record.fence) == (State.DONE, fence)


def test_a_process_killed_before_any_statement_leaves_all_of_an_exchange_or_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed before its first statement, before the second, and so on, until it ends before it would be."""

    def end_and_begin(held: list[Claim], names: list[str], deadly: int, tell: Tell) -> None:
        die_at(deadly, monkeypatch)
        outcomes = [Outcome(each, Ending.DONE) for each in held]
        store_at(path).exchange(outcomes, [request(name) for name in names])
        tell("recorded")

    nothing, everything = [State.RUNNING] * 3 + [None] * 3, [State.DONE] * 3 + [State.RUNNING] * 3
    found = []
    for deadly in itertools.count(1):
        store = store_at(path)
        ending, next_ = ([f"{deadly} {which} {number}" for number in range(3)] for which in ("ends", "begins"))
        held = [Claim(asked, begin(store, asked).fence) for asked in map(request, ending)]
        with Child(partial(end_and_begin, held, next_, deadly)) as child:
            status = child.wait()
            told = child.told()
        records = [store.inspect(f"v1.{name}") for name in (*ending, *next_)]
        found.append([record and record.state for record in records])
        assert is_sound(path)
        if told:
            break
        assert status == -signal.SIGKILL
    # The last statement of all is the commit.
    assert found == [nothing] * (len(found) - 1) + [everything]
    assert len(found) > 20
