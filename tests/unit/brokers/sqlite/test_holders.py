from __future__ import annotations

from actors.brokers.sqlite import holders
from actors.brokers.sqlite.queues import Counts
from actors.brokers.sqlite.settling import Settlement
from tests.unit.brokers.sqlite.table import LATER, NOW, Table, names


def test_what_a_lost_holder_had_is_taken_again_in_its_place_and_counts_the_loss(table: Table) -> None:
    table.put("a", "b")
    table.claim(table.enter(until=NOW), 1)
    table.evict(now=NOW)

    taken = table.claim(table.enter())

    assert [(each.message_id, each.lost) for each in taken] == [("a", 1), ("b", 0)]


def test_each_lost_holder_is_counted(table: Table) -> None:
    table.put("a")
    for _ in range(3):
        table.claim(table.enter(until=NOW))
        table.evict(now=NOW)

    [taken] = table.claim(table.enter())

    assert taken.lost == 3


def test_a_holder_whose_lease_is_not_over_keeps_what_it_has(table: Table) -> None:
    table.put("a")
    table.claim(table.enter(until=NOW + 1))

    table.evict(now=NOW)

    assert table.count() == Counts(ready=0, delayed=0, held=1)


def test_a_renewed_lease_ends_later(table: Table) -> None:
    table.put("a")
    holder = table.enter(until=NOW)
    table.claim(holder)
    with table.file.write() as connection:
        assert holders.renew(connection, holder, until=LATER)

    table.evict(now=NOW)
    assert table.count().held == 1
    table.evict(now=LATER)
    assert table.count().ready == 1


def test_a_lease_that_is_over_is_renewed_while_nobody_has_missed_its_holder(table: Table) -> None:
    holder = table.enter(until=NOW - 1)

    with table.file.write() as connection:
        assert holders.renew(connection, holder, until=LATER)


def test_a_lost_holder_is_told_so_and_never_comes_back(table: Table) -> None:
    holder = table.enter(until=NOW)
    table.evict(now=NOW)

    with table.file.write() as connection:
        assert not holders.renew(connection, holder, until=LATER)
    assert table.enter() > holder


def test_who_leaves_gives_back_what_it_has_and_nothing_counts_as_lost(table: Table) -> None:
    table.put("a", "b")
    holder = table.enter()
    table.claim(holder)

    with table.file.write() as connection:
        assert holders.leave(connection, holder) == 2

    assert [(each.message_id, each.lost) for each in table.claim(table.enter())] == [("a", 0), ("b", 0)]


def test_what_a_holder_does_not_know_that_it_has_is_given_back(table: Table) -> None:
    table.put("a", "b")
    holder = table.enter()
    first, _ = table.claim(holder)

    with table.file.write() as connection:
        holders.reconcile(connection, holder, {first.id})

    assert names(table.claim(table.enter())) == ["b"]
    assert table.settle(holder, Settlement(first.id)) == [True]
