"""Dead letters in their table, gone through and taken away."""

from __future__ import annotations

import json

from actors.brokers.sqlite import graves
from actors.dead_letters import Selection
from middleware.stores.sqlite import SqliteFile
from tests.unit.brokers.sqlite.graveyard import EVERYTHING, NEWEST, found, letter, names, put_in_graves
from tests.unit.brokers.sqlite.table import NOW


def test_the_oldest_come_first_and_of_one_moment_those_that_came_first(file: SqliteFile) -> None:
    dead = [letter("c", died=NOW + 2), letter("a"), letter("b"), letter("x", queue="reports")]
    put_in_graves(file, *dead)
    assert names(found(file)) == ["a", "b", "c"]
    assert names(found(file, queue="reports")) == ["x"]


def test_steps_go_on_behind_a_place_and_end_with_the_newest(file: SqliteFile) -> None:
    put_in_graves(file, *[letter(name) for name in "abcde"])
    with file.read() as connection:
        newest = graves.newest(connection)
        first = graves.steps(connection, "default", EVERYTHING, now=NOW, limit=2, newest=newest)
    put_in_graves(file, letter("late"))
    with file.read() as connection:
        rest = graves.steps(connection, "default", EVERYTHING, now=NOW, limit=10, newest=newest, after=first[-1].place)
    assert [step.grave.letter.message_id for step in rest if step.grave is not None] == ["c", "d", "e"]


def test_what_is_not_meant_is_a_step_without_a_letter(file: SqliteFile) -> None:
    put_in_graves(file, letter("a"), letter("b", actor="other"), letter("c"))
    with file.read() as connection:
        steps = graves.steps(connection, "default", Selection(actors=["other"]), now=NOW, limit=10, newest=NEWEST)
    assert [step.grave is not None for step in steps] == [False, True, False]


def test_times_and_ids_bound_what_is_gone_through(file: SqliteFile) -> None:
    put_in_graves(file, *[letter(str(number), died=NOW + number) for number in range(10)])
    with file.read() as connection:
        for wanted, count in (
            (Selection(since=NOW + 3, until=NOW + 7), 4),
            (Selection(ids=["3", "letter-5", "nobody"]), 2),
            (Selection(ids=["3", "letter-3"], since=NOW + 4), 0),
            (Selection(until=-(2**70)), 0),
            (Selection(since=2**70), 0),
        ):
            steps = graves.steps(connection, "default", wanted, now=NOW, limit=100, newest=NEWEST)
            assert len(steps) == count


def test_a_letter_whose_time_is_over_is_not_there(file: SqliteFile) -> None:
    put_in_graves(file, letter("over"), expires=NOW)
    put_in_graves(file, letter("soon"), expires=NOW + 1)
    assert names(found(file)) == ["soon"]
    with file.read() as connection:
        present = [graves.is_present(connection, f"letter-{name}", now=NOW) for name in ("over", "soon", "nobody")]
    assert present == [False, True, False]


def test_bodies_are_read_where_they_are_asked_for(file: SqliteFile) -> None:
    put_in_graves(file, letter("a"))
    [lean], [whole] = found(file), found(file, whole=True)
    assert (lean.body, lean.size, whole.body, whole.size) == (b"", 9, b"body of a", 9)


def test_what_is_no_unicode_is_nobodys_id(file: SqliteFile) -> None:
    put_in_graves(file, letter("a"))
    assert found(file, Selection(ids=["\udcff"])) == []


def test_a_header_that_can_not_be_read_leaves_what_the_body_says(file: SqliteFile) -> None:
    put_in_graves(file, letter("a"))
    with file.write() as connection:
        connection.execute("UPDATE actors_dead_letter SET header = ?", (json.dumps({"id": 7}),))
    [grave] = found(file, whole=True)
    assert (grave.letter.queue, grave.letter.died, grave.letter.reason) == ("default", NOW, "undecodable")


def test_of_two_who_take_a_letter_away_one_is_told_so(file: SqliteFile) -> None:
    put_in_graves(file, letter("a"), letter("b"))
    rows = [grave.id for grave in found(file)]
    with file.write() as connection:
        assert graves.remove(connection, rows[:1]) == set(rows[:1])
        assert graves.remove(connection, rows) == set(rows[1:])
        assert graves.remove(connection, rows) == set()


def test_what_arrives_is_told_once(file: SqliteFile) -> None:
    put_in_graves(file, letter("before"))
    with file.read() as connection:
        before = graves.newest(connection)
    put_in_graves(file, letter("a"), letter("elsewhere", queue="reports"), letter("b"))
    with file.read() as connection:
        last, arrived, letters = graves.arrivals(connection, ["default"], after=before, limit=2)
        assert (arrived, [each.message_id for each in letters]) == (2, ["a"])
        last, arrived, letters = graves.arrivals(connection, ["default"], after=last, limit=2)
        assert (arrived, [each.message_id for each in letters]) == (1, ["b"])
        assert graves.arrivals(connection, ["default"], after=last, limit=2) == (last, 0, [])
