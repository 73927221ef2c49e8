"""The records that are not done, page by page."""

from typing import Any

import pytest

from middleware.stores import Ending, Outcome, Store, pages
from tests.conformance.stores.subject import LONG, SHORT, InRedis, Subject, claim, finish, request, verdict


def begin_all(store: Store, *keys: str, **options: Any) -> None:
    store.exchange([], [request(key, **options) for key in keys])


def names(count: int) -> list[str]:
    return [f"k{number:03}" for number in range(count)]


def listed(store: Store, *, limit: int = 100) -> list[str]:
    return [record.key for record in pages(store, limit=limit)]


def test_an_empty_store_has_one_empty_page(store: Store) -> None:
    assert store.list_open() == ([], "")


def test_what_is_not_done_is_listed(store: Store, subject: Subject) -> None:
    for ending in Ending:
        finish(store, claim(store, key=ending.value), ending)
    claim(store, key="running")
    store.mark(claim(store, key="unknown", lease_ms=SHORT, park=True))
    claim(store, key="over", lease_ms=SHORT)
    subject.pass_time(SHORT)
    verdict(store, "unknown", park=True)
    assert sorted(listed(store)) == ["abandoned", "aborted", "failed", "over", "running", "unknown", "waiting"]


def test_a_listed_record_is_the_record(store: Store) -> None:
    finish(store, claim(store), Ending.FAILED, error="no luck", retries=2)
    [listed], _ = store.list_open()
    inspected = store.inspect("v1.k")
    assert inspected is not None
    assert (listed.error, listed.retries, listed.fence) == ("no luck", 2, inspected.fence)
    assert abs(listed.expires - inspected.expires) <= 2


@pytest.mark.parametrize("limit", [1, 3, 7, 10, 20, 21, 100])
def test_pages_leave_nothing_out_and_show_nothing_twice(store: Store, limit: int) -> None:
    begin_all(store, *names(21))  # in one exchange: they all expire at once
    assert sorted(listed(store, limit=limit)) == names(21)


def test_a_full_page_is_followed_by_another_only_if_there_is_more(store: Store) -> None:
    begin_all(store, *names(20))
    page, after = store.list_open(limit=10)
    assert len(page) == 10
    rest, end = store.list_open(after=after, limit=10)
    assert (len(rest), end) == (10, "")


def test_what_expires_first_comes_first(store: Store) -> None:
    for number in (3, 1, 2):
        begin_all(store, f"k{number}", ttl_ms=number * LONG)
    assert listed(store, limit=1) == ["k1", "k2", "k3"]


def test_listing_survives_that_what_it_has_shown_goes_away(store: Store) -> None:
    requests = [request(name) for name in names(10)]
    held = [claim(store, asked) for asked in requests]
    page, after = store.list_open(limit=5)
    ended = [each for each in held if each.request.digest in {record.digest for record in page}]
    store.exchange([Outcome(each, Ending.DONE) for each in ended], [])
    rest, end = store.list_open(after=after, limit=5)
    assert sorted(record.key for record in page + rest) == names(10)
    assert end == ""


def test_what_has_expired_is_not_listed(store: Store, subject: Subject) -> None:
    begin_all(store, "short", lease_ms=SHORT, ttl_ms=SHORT)
    begin_all(store, "long")
    subject.pass_time(2 * SHORT)
    assert listed(store) == ["long"]


def test_a_record_that_was_taken_over_is_listed_once(store: Store, subject: Subject) -> None:
    begin_all(store, "k", lease_ms=SHORT)
    subject.pass_time(SHORT)
    begin_all(store, "k", ttl_ms=2 * LONG)
    assert listed(store) == ["k"]


def test_a_key_that_is_claimed_again_is_listed_again(store: Store) -> None:
    for ending in (Ending.FORGOTTEN, Ending.ABANDONED, Ending.FAILED, Ending.DONE):
        finish(store, claim(store), ending)
        store.release("v1.k")
        assert listed(store) == []
    claim(store)
    assert listed(store) == ["k"]


@pytest.mark.parametrize("after", ["x", "1.5 x", "nan x", "inf", "-", "x 17"])
def test_a_cursor_that_no_page_has_returned_is_refused(store: Store, after: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        store.list_open(after=after)


def test_keys_that_expire_in_the_same_microsecond_are_told_apart(in_redis: InRedis) -> None:
    begin_all(in_redis.store, *names(50))
    index = f"{in_redis.prefix}open"
    in_redis.raw.zadd(index, dict.fromkeys(in_redis.raw.zrange(index, 0, -1), (in_redis.store.now() + LONG) * 1000))
    for limit in (1, 7, 25, 49, 50, 51):
        assert listed(in_redis.store, limit=limit) == names(50)


def test_a_page_reads_no_more_than_itself(in_redis: InRedis) -> None:
    begin_all(in_redis.store, *names(300))
    finish(in_redis.store, claim(in_redis.store, key="done"), Ending.DONE)
    in_redis.raw.config_resetstat()
    assert len(in_redis.store.list_open(limit=10)[0]) == 10
    calls = {name.removeprefix("cmdstat_"): each["calls"] for name, each in in_redis.raw.info("commandstats").items()}
    calls.pop("config|resetstat", None)
    calls.pop("config", None)
    assert calls == {"zrange": 1, "get": 10, "pttl": 10, "time": 1}


def test_listing_and_looking_change_nothing(in_redis: InRedis) -> None:
    begin_all(in_redis.store, *names(5), "charge:42")
    raw = in_redis.raw
    before = {name: raw.dump(name) for name in raw.scan_iter(f"{in_redis.prefix}*")}
    listed(in_redis.store, limit=2)
    in_redis.store.inspect("v1.k001")
    in_redis.store.inspect("v1.unheard of")
    in_redis.store.digest_of("m1")
    assert {name: raw.dump(name) for name in raw.scan_iter(f"{in_redis.prefix}*")} == before


def test_the_index_forgets_what_has_expired(in_redis: InRedis) -> None:
    begin_all(in_redis.store, *names(50), lease_ms=SHORT, ttl_ms=SHORT)
    in_redis.pass_time(2 * SHORT)
    finish(in_redis.store, claim(in_redis.store, key="done"), Ending.DONE)
    assert in_redis.raw.zcard(f"{in_redis.prefix}open") == 0
