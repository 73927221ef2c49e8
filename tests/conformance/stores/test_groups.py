"""Groups of messages, whose last one to arrive is to know that it is the last."""

from concurrent.futures import ThreadPoolExecutor

from middleware.stores import Store
from tests.conformance.stores.subject import LONG, SHORT, Subject


def test_the_last_to_arrive_completes_the_group(store: Store) -> None:
    store.open_group("g", 3, ttl_ms=LONG)
    assert [store.arrive("g", member) for member in "abc"] == [False, False, True]


def test_who_arrives_twice_counts_once(store: Store) -> None:
    store.open_group("g", 2, ttl_ms=LONG)
    assert [store.arrive("g", member) for member in "aab"] == [False, False, True]


def test_a_repeated_arrival_is_told_the_same(store: Store) -> None:
    store.open_group("g", 2, ttl_ms=LONG)
    assert [store.arrive("g", member) for member in "abba"] == [False, True, True, True]


def test_a_group_that_is_opened_twice_forgets_nobody(store: Store) -> None:
    store.open_group("g", 2, ttl_ms=LONG)
    store.arrive("g", "a")
    store.open_group("g", 2, ttl_ms=LONG)
    assert store.arrive("g", "b")


def test_a_group_that_is_opened_again_remembers_for_as_long_again(store: Store, subject: Subject) -> None:
    store.open_group("g", 2, ttl_ms=30 * SHORT)
    store.arrive("g", "a")
    store.open_group("g", 2, ttl_ms=LONG)
    subject.pass_time(30 * SHORT)
    assert store.arrive("g", "b")


def test_a_group_that_nobody_opened_is_never_complete(store: Store) -> None:
    assert not store.arrive("g", "a")
    store.open_group("g", 1, ttl_ms=LONG)
    assert not store.arrive("other", "a")


def test_a_group_that_is_gone_is_never_complete(store: Store, subject: Subject) -> None:
    store.open_group("g", 2, ttl_ms=SHORT)
    store.arrive("g", "a")
    subject.pass_time(SHORT)
    assert not store.arrive("g", "b")
    store.open_group("g", 2, ttl_ms=LONG)
    assert not store.arrive("g", "b")


def test_one_of_many_that_arrive_at_once_sees_all(subject: Subject) -> None:
    subject.store.open_group("g", 32, ttl_ms=LONG)
    with ThreadPoolExecutor(8) as threads:
        complete = list(threads.map(lambda member: subject.another().arrive("g", f"m{member}"), range(32)))
    assert sum(complete) == 1
