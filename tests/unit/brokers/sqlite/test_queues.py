from __future__ import annotations

from actors.brokers.sqlite import queues
from actors.brokers.sqlite.queues import STEP, Counts
from actors.brokers.sqlite.settling import Settlement
from tests.unit.brokers.sqlite.table import LATER, NOW, Table, message, names


def test_messages_of_one_priority_are_taken_in_the_order_in_which_they_were_put(table: Table) -> None:
    table.put("a", "b")
    table.put("c")

    taken = table.claim(table.enter())

    assert [(each.message_id, each.body, each.lost) for each in taken] == [
        ("a", b"a", 0),
        ("b", b"b", 0),
        ("c", b"c", 0),
    ]


def test_a_higher_priority_is_taken_first(table: Table) -> None:
    table.put("a")
    table.put("b", priority=5)
    table.put("c", priority=-1)
    table.put("d", priority=5)

    assert names(table.claim(table.enter())) == ["b", "d", "a", "c"]


def test_no_more_are_taken_than_the_limit(table: Table) -> None:
    table.put("a", "b", "c")

    assert names(table.claim(table.enter(), 2)) == ["a", "b"]
    assert names(table.claim(table.enter(), 2)) == ["c"]


def test_what_one_holds_another_does_not_get(table: Table) -> None:
    table.put("a")

    assert names(table.claim(table.enter())) == ["a"]
    assert table.claim(table.enter()) == []


def test_each_queue_has_its_own(table: Table) -> None:
    table.put("a", queue="x")
    table.put("b", queue="y")

    assert names(table.claim(table.enter("y"), queue="y")) == ["b"]


def test_a_delayed_message_is_not_taken_before_it_is_due(table: Table) -> None:
    table.put("a", available=NOW + 1)
    holder = table.enter()

    with table.file.write() as connection:
        queues.release_due(connection, "default", now=NOW)
    assert table.claim(holder) == []

    with table.file.write() as connection:
        queues.release_due(connection, "default", now=NOW + 1)
    assert names(table.claim(holder)) == ["a"]


def test_what_becomes_due_is_released_in_steps_the_longest_due_first(table: Table) -> None:
    table.put("last", available=NOW)
    with table.file.write() as connection:
        queues.put(connection, [message(f"m{number}", available=NOW - 1) for number in range(STEP)])
        queues.release_due(connection, "default", now=NOW)

    assert table.count(now=0) == Counts(ready=STEP, delayed=1, held=0)
    assert "last" not in names(table.claim(table.enter(), STEP + 1))


def test_the_next_moment_is_the_first_of_all_that_will_be_there_to_take(table: Table) -> None:
    assert table.next_moment() is None
    holder = table.enter(until=NOW + 50)
    table.enter("other", until=NOW)
    assert table.next_moment() == NOW + 50
    assert table.next_moment(without=holder) is None
    table.put("a", available=NOW + 20)
    assert table.next_moment() == NOW + 20
    table.put("b")
    assert table.next_moment() == 0


def test_each_message_is_counted_in_its_state(table: Table) -> None:
    table.put("held", priority=1)
    table.claim(table.enter())
    table.put("ready", "ready too")
    table.put("delayed", available=LATER)
    table.put("due, although nobody has looked", available=NOW)
    table.put("elsewhere", queue="other")

    assert table.count() == Counts(ready=3, delayed=1, held=1)


def test_dropping_leaves_what_is_held_and_what_is_in_other_queues(table: Table) -> None:
    table.put("held", priority=1)
    holder = table.enter()
    [held] = table.claim(holder)
    table.put("ready")
    table.put("delayed", available=LATER)
    table.put("elsewhere", queue="other")

    with table.file.write() as connection:
        assert queues.drop(connection, "default", limit=1) == 1
        assert queues.drop(connection, "default", limit=5) == 1
        assert queues.drop(connection, "default", limit=5) == 0

    assert table.count() == Counts(ready=0, delayed=0, held=1)
    assert table.count("other").ready == 1
    assert table.settle(holder, Settlement(held.id)) == [True]


def test_the_id_of_a_message_that_is_gone_is_never_another_s(table: Table) -> None:
    holder = table.enter()
    table.put("a")
    [first] = table.claim(holder)
    table.settle(holder, Settlement(first.id))
    table.put("b")

    [second] = table.claim(holder)

    assert second.id > first.id
