"""How many may run at once, and who is next."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from middleware.stores import SeatAnswer, SeatRequest, Store
from middleware.stores.seats import FIRST_PACE_MS, GRACE_MS, SOONEST_MS, head_of
from middleware.stores.sqlite.seats import AHEAD, SWEEP_PACES
from tests.conformance.stores.subject import LONG, SHORT, InSqlite, Subject

_tokens = itertools.count()


def wish(owner: str, *, limit: int = 2, **options: Any) -> SeatRequest:
    """A new delivery of message *owner*, which asks for a seat."""
    defaults = {"name": "gpu", "token": f"delivery {next(_tokens)}", "lease_ms": LONG}
    return SeatRequest(**{"owner": owner, "limit": limit, **defaults, **options})


def sit(store: Store, owner: str, **options: Any) -> bool:
    return store.sit(wish(owner, **options)).is_taken


def fill(store: Store, limit: int = 2, **options: Any) -> list[SeatRequest]:
    """Take all seats."""
    seats = [wish(f"s{number}", limit=limit, **options) for number in range(limit)]
    assert all(store.sit(each).is_taken for each in seats)
    return seats


def test_no_more_seats_are_given_than_there_are(store: Store) -> None:
    assert [sit(store, f"m{number}") for number in range(4)] == [True, True, False, False]


def test_limits_of_different_names_are_apart(store: Store) -> None:
    fill(store)
    assert sit(store, "m1", name="cpu")


def test_each_asks_by_its_own_limit(store: Store) -> None:
    fill(store)
    assert sit(store, "m1", limit=3)
    assert not sit(store, "m2", limit=3)


def test_a_seat_that_is_left_is_free(store: Store) -> None:
    first, _ = fill(store)
    store.leave_seat(first, 50)
    assert sit(store, "m1")
    assert not sit(store, "m2")


def test_a_request_that_is_repeated_gets_the_seat_that_it_has(store: Store) -> None:
    first, second = fill(store)
    assert [store.sit(each).is_taken for each in (first, second)] == [True, True]
    store.leave_seat(first, 50)
    assert sit(store, "m1")


def test_who_leaves_twice_frees_one_seat(store: Store) -> None:
    first, _ = fill(store)
    store.leave_seat(first, 50)
    store.leave_seat(first, 50)
    assert [sit(store, f"m{number}") for number in range(2)] == [True, False]


def test_the_seat_of_a_silent_worker_is_free_when_its_lease_is_over(store: Store, subject: Subject) -> None:
    fill(store, lease_ms=SHORT)
    subject.pass_time(SHORT)
    assert sit(store, "m1")


def test_a_seat_that_is_renewed_stays(store: Store, subject: Subject) -> None:
    [seat] = fill(store, limit=1, lease_ms=2_000)
    for _ in range(3):
        subject.pass_time(20)
        assert store.keep_seats([seat]) == [True]
    assert not sit(store, "m1", limit=1)


def test_a_worker_that_comes_back_too_late_has_lost_its_seat(store: Store, subject: Subject) -> None:
    first, second = fill(store, lease_ms=SHORT)
    subject.pass_time(SHORT)
    assert sit(store, "m1")
    assert store.keep_seats([first, second]) == [True, False]
    store.leave_seat(second, 50)
    assert not sit(store, "m2")


def test_a_seat_that_the_store_has_lost_comes_back(subject: Subject) -> None:
    seats = fill(subject.store)
    subject.lose_everything()
    assert subject.store.keep_seats(seats) == [True, True]
    assert not sit(subject.store, "m1")


def test_no_seats_are_renewed_by_nobody(store: Store) -> None:
    assert store.keep_seats([]) == []


def test_who_has_waited_longest_is_first(store: Store) -> None:
    fill(store)
    asked = [("young", 0), ("old", 60_000), ("older", 120_000)]
    for owner, age_ms in asked * 2:
        answer = store.sit(wish(owner, age_ms=age_ms))
    places = {owner: store.sit(wish(owner, age_ms=0)).ahead for owner, _ in asked}
    assert places == {"older": 0, "old": 1, "young": 2}
    assert not answer.is_taken


def test_a_free_seat_is_for_the_head_of_the_line(store: Store) -> None:
    head = head_of(2)
    first, _ = fill(store)
    for number in range(head + 1):
        sit(store, f"m{number}", age_ms=60_000 - 1_000 * number)
    store.leave_seat(first, 50)
    late = store.sit(wish(f"m{head}"))
    assert (late.is_taken, late.ahead) == (False, head)
    assert not sit(store, "new")
    assert sit(store, f"m{head - 1}")


def test_any_may_sit_where_no_seat_is_taken(store: Store) -> None:
    first, second = fill(store)
    for number in range(head_of(2) + 1):
        sit(store, f"m{number}", age_ms=60_000 - 1_000 * number)
    store.leave_seat(first, 50)
    store.leave_seat(second, 50)
    assert sit(store, "new")


def test_who_does_not_look_again_stands_in_nobodys_way(in_sqlite: InSqlite) -> None:
    store = in_sqlite.store
    fill(store)
    for number in range(5):
        assert store.sit(wish(f"m{number}", age_ms=60_000)).delay_ms == SOONEST_MS
    in_sqlite.pass_time(SOONEST_MS + GRACE_MS)
    assert store.sit(wish("new")).ahead == 0
    # And finds its place when it comes after all.
    assert store.sit(wish("m0", age_ms=60_000 + SOONEST_MS + GRACE_MS)).ahead == 0
    assert store.sit(wish("new")).ahead == 1


def test_the_head_looks_soon_and_others_when_their_turn_may_come(store: Store) -> None:
    first, _ = fill(store)
    store.leave_seat(first, 1_000)
    assert sit(store, "again", limit=2)
    answers = [store.sit(wish(f"m{number:03}", age_ms=60_000 - number)) for number in range(100)]
    head = head_of(2)
    assert [answer.delay_ms for answer in answers[:head]] == [250] * head
    assert [answer.delay_ms for answer in answers[head : head + 3]] == [400, 800, 1_200]
    assert answers[-1] == SeatAnswer(False, 99, 10_000)


def test_the_end_of_a_line_for_long_jobs_looks_more_seldom(store: Store) -> None:
    [seat] = fill(store, limit=1)
    store.leave_seat(seat, 40_000)
    fill(store, limit=1)
    answers = [store.sit(wish(f"m{number:03}", limit=1, age_ms=60_000 - number)) for number in range(20)]
    assert (answers[0].delay_ms, answers[-1].delay_ms) == (5_000, 40_000)


def test_until_a_seat_was_left_a_short_pace_is_taken_for_granted(store: Store) -> None:
    fill(store)
    answers = [store.sit(wish(f"m{number:03}", age_ms=60_000 - number)) for number in range(20)]
    assert answers[-1].delay_ms == int(0.8 * FIRST_PACE_MS * (20 - head_of(2)) / 2)


def test_the_pace_follows_how_long_seats_are_held(store: Store) -> None:
    for held_ms in (8_000, 0):
        seat = wish("m", limit=1)
        store.sit(seat)
        store.leave_seat(seat, held_ms)
    fill(store, limit=1)
    assert store.sit(wish("m1", limit=1)).delay_ms == 7_000 // 4


def test_of_many_at_once_no_more_than_the_limit_sit(subject: Subject) -> None:
    stores = [subject.another() for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda number: sit(stores[number % 4], f"m{number}", limit=3), range(24)))
    assert sum(taken) == 3


@pytest.mark.parametrize(("sql", "index"), [(AHEAD, "actors_line_by_age"), (SWEEP_PACES, "actors_paces_by_change")])
def test_no_statement_looks_at_all_rows(in_sqlite: InSqlite, sql: str, index: str) -> None:
    sit(in_sqlite.store, "m1")
    with in_sqlite.file.read() as connection:
        steps = [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", (0,) * sql.count("?"))]
    assert [step for step in steps if step.startswith("SEARCH") and index in step]
    assert [step for step in steps if step.startswith("SCAN")] == []
