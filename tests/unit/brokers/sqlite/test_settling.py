from __future__ import annotations

import pytest

from actors.brokers.sqlite import dead_letters, tick_runs
from actors.brokers.sqlite.dead_letters import Burial
from actors.brokers.sqlite.queues import Counts
from actors.brokers.sqlite.settling import Follower, Settlement, settle
from actors.brokers.sqlite.tick_runs import TickRun
from middleware.letter import Letter
from periodic.pace import Pace
from tests.unit.brokers.sqlite.table import LATER, NOW, Table, message, names

NOTHING = Counts(ready=0, delayed=0, held=0)


def letter(message_id: str = "a", queue: str = "default") -> Letter:
    return Letter(
        id=f"end of {message_id}",
        message_id=message_id,
        queue=queue,
        reason="exhausted",
        error_type="ValueError",
        error="no",
        fingerprint="f" * 16,
        died=NOW,
        actor="job",
    )


def test_a_message_that_is_done_is_gone(table: Table) -> None:
    table.put("a")
    holder = table.enter()
    [taken] = table.claim(holder)

    assert table.settle(holder, Settlement(taken.id)) == [True]

    assert table.count() == NOTHING


def test_what_follows_a_message_comes_as_it_goes(table: Table) -> None:
    table.put("a")
    holder = table.enter()
    [taken] = table.claim(holder)
    followers: list[Follower] = [
        message("retry", available=LATER),
        message("callback", queue="other"),
        TickRun(Pace.DAYS, b"run"),
    ]

    table.settle(holder, Settlement(taken.id, followers=followers))

    assert table.count() == Counts(ready=0, delayed=1, held=0)
    assert table.count("other") == Counts(ready=1, delayed=0, held=0)
    with table.file.read() as connection:
        assert tick_runs.newest(connection, Pace.DAYS) == [b"run"]


def test_a_message_that_has_failed_for_good_is_among_the_dead_letters_and_nowhere_else(table: Table) -> None:
    table.put("a")
    holder = table.enter()
    [taken] = table.claim(holder)

    table.settle(holder, Settlement(taken.id, burial=Burial(letter(), b"\xff\x00")))

    assert table.count() == NOTHING
    assert table.dead() == 1


def test_a_message_that_is_requeued_goes_back_to_its_place(table: Table) -> None:
    table.put("a", "b")
    holder = table.enter()
    taken, _ = table.claim(holder)

    assert table.settle(holder, Settlement(taken.id, requeue=True)) == [True]

    table.put("c")
    again = table.claim(table.enter())
    assert [(each.message_id, each.lost) for each in again] == [("a", 0), ("c", 0)]


@pytest.mark.parametrize(
    "settlement",
    [
        Settlement(1),
        Settlement(1, requeue=True),
        Settlement(1, followers=[message("retry"), TickRun(Pace.DAYS, b"run")]),
        Settlement(1, burial=Burial(letter(), b"")),
    ],
)
def test_who_has_lost_a_message_changes_nothing_and_nothing_follows(settlement: Settlement, table: Table) -> None:
    table.put("a")
    lost = table.enter(until=NOW)
    table.claim(lost)
    table.evict(now=NOW)
    current = table.enter()
    [taken] = table.claim(current)
    assert taken.id == settlement.id

    assert table.settle(lost, settlement) == [False]

    assert table.count() == Counts(ready=0, delayed=0, held=1)
    assert table.dead() == 0
    assert table.settle(current, Settlement(taken.id)) == [True]


def test_a_message_can_end_once(table: Table) -> None:
    table.put("a")
    holder = table.enter()
    [taken] = table.claim(holder)
    end = Settlement(taken.id, followers=[message("b")])

    assert table.settle(holder, end) == [True]
    assert table.settle(holder, end) == [False]

    assert names(table.claim(holder)) == ["b"]


def test_all_ends_of_a_transaction_are_written_or_none(table: Table) -> None:
    table.put("a", "b")
    holder = table.enter()
    first, second = table.claim(holder)
    ends = [Settlement(first.id, followers=[message("c")]), Settlement(second.id, burial=Burial(letter("b"), b""))]

    def settle_and_raise() -> None:
        with table.file.write() as connection:
            settle(connection, holder, ends)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        settle_and_raise()

    assert table.count() == Counts(ready=0, delayed=0, held=2)
    assert table.dead() == 0
    with table.file.read() as connection:
        assert not dead_letters.has_expired(connection, now=LATER)
