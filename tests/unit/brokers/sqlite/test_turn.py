from __future__ import annotations

from actors.brokers.sqlite.settling import Settlement
from actors.brokers.sqlite.turn import Taking, Turn, take
from tests.unit.brokers.sqlite.table import LATER, NOW, Table, message, names


def turn(holder: int | None = None, *settlements: Settlement, room: int = 10, known: set[int] | None = None) -> Turn:
    return Turn("default", holder, settlements, room, now=NOW, until=LATER, worker="here:1", known=known)


def taking(table: Table, to_do: Turn) -> Taking:
    with table.file.write() as connection:
        return take(connection, to_do)


def test_who_finds_nothing_becomes_no_holder(table: Table) -> None:
    assert taking(table, turn()) == Taking(None)


def test_who_takes_something_becomes_a_holder(table: Table) -> None:
    table.put("a", "b")

    taken = taking(table, turn(room=1))

    assert taken.holder is not None
    assert names(taken.taken) == ["a"]
    assert taken.moment == 0
    assert table.next_moment() == 0
    assert names(taking(table, turn(taken.holder)).taken) == ["b"]


def test_what_has_ended_makes_room_for_what_follows_it_in_the_same_transaction(table: Table) -> None:
    table.put("a")
    first = taking(table, turn())
    end = Settlement(first.taken[0].id, followers=[message("b")])

    second = taking(table, turn(first.holder, end))

    assert second.settled == [True]
    assert names(second.taken) == ["b"]
    assert second.moment is None


def test_what_is_due_and_what_the_dead_had_is_taken(table: Table) -> None:
    table.put("lost")
    table.claim(table.enter(until=NOW))
    table.put("due", available=NOW)
    table.put("delayed", available=NOW + 7)

    taken = taking(table, turn())

    assert [(each.message_id, each.lost) for each in taken.taken] == [("lost", 1), ("due", 0)]
    assert taken.moment == NOW + 7


def test_a_turn_renews_its_own_lease_before_it_looks_whose_is_over(table: Table) -> None:
    table.put("a")
    holder = table.enter(until=NOW)
    table.claim(holder)

    assert taking(table, turn(holder)) == Taking(holder, [], [], None)
    assert table.count().held == 1


def test_who_has_lost_its_lease_ends_nothing_and_takes_nothing(table: Table) -> None:
    table.put("a")
    holder = table.enter(until=NOW)
    [taken] = table.claim(holder)
    table.evict(now=NOW)

    assert taking(table, turn(holder, Settlement(taken.id))) == Taking(None, moment=0)
    assert table.count().ready == 1


def test_without_room_nothing_is_taken(table: Table) -> None:
    table.put("a", "b")
    holder = table.enter()
    [taken] = table.claim(holder, 1)

    assert taking(table, turn(holder, Settlement(taken.id), room=0)).taken == []
    assert table.count().ready == 1


def test_what_a_holder_has_without_knowing_is_ready_again(table: Table) -> None:
    table.put("a", "b")
    holder = table.enter()
    known, _ = table.claim(holder)

    assert names(taking(table, turn(holder, known={known.id})).taken) == ["b"]
