"""What a worker is told while Redis can't serve, and what it finds afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

import services
from middleware.stores import Claim, Ending, Store, StoreUnavailable, Verdict
from middleware.stores.redis import RedisStore
from services.deadline import until
from tests.conformance.stores.subject import LONG, SHORT, begin, claim, finish, record, request, verdict

TIMEOUT_S = 0.3

CHANGES: dict[str, Callable[[Store, Claim], object]] = {
    "begin": lambda store, _: store.exchange([], [request("new")]),
    "finish": lambda store, held: finish(store, held, Ending.DONE),
    "renew": lambda store, held: store.renew([held]),
    "mark": lambda store, held: store.mark(held),
    "release": lambda store, held: store.release(held.request.digest, force=True),
    "complete": lambda store, held: store.complete(held.request.digest, force=True),
    "open_group": lambda store, _: store.open_group("g", 2, ttl_ms=LONG),
    "arrive": lambda store, _: store.arrive("opened", "m2"),
}
QUESTIONS: dict[str, Callable[[Store, Claim], object]] = {
    "inspect": lambda store, held: store.inspect(held.request.digest),
    "digest_of": lambda store, _: store.digest_of("m1"),
    "list_open": lambda store, _: store.list_open(),
    "now": lambda store, _: store.now(),
}


@pytest.fixture
def store(private_redis: services.Redis, prefix: str) -> RedisStore:
    return RedisStore(private_redis.url, prefix=f"{prefix}:", timeout_s=TIMEOUT_S)


@pytest.fixture
def held(store: RedisStore) -> Claim:
    store.open_group("opened", 2, ttl_ms=LONG)
    return claim(store, key="held")


@pytest.fixture
def raw(private_redis: services.Redis) -> Iterator[Any]:
    with redis.Redis.from_url(private_redis.url) as client:
        yield client


@contextmanager
def configured(raw: Any, **options: str) -> Iterator[None]:
    """A server with these settings, until the end of the block."""
    before = {name: raw.config_get(name)[name] for name in (name.replace("_", "-") for name in options)}
    try:
        for name, value in options.items():
            raw.config_set(name.replace("_", "-"), value)
        yield
    finally:
        for name, value in before.items():
            raw.config_set(name, value)


def assert_unavailable(store: Store, held: Claim, calls: dict[str, Callable[[Store, Claim], object]]) -> None:
    for name, call in calls.items():
        with pytest.raises(StoreUnavailable):
            pytest.fail(f"{name} said {call(store, held)}")


def test_a_stopped_redis_is_unavailable_to_every_call(
    private_redis: services.Redis, store: RedisStore, held: Claim
) -> None:
    private_redis.stop()
    assert_unavailable(store, held, CHANGES | QUESTIONS)


@pytest.mark.parametrize("end", [services.Redis.stop, services.Redis.kill])
def test_what_was_answered_outlives_the_server(
    private_redis: services.Redis, store: RedisStore, held: Claim, end: Callable[[services.Redis], None]
) -> None:
    finish(store, claim(store, key="done"), Ending.DONE, result="42")
    end(private_redis)
    private_redis.start()
    assert verdict(store, "done", "m2") is Verdict.DONE
    assert verdict(store, "held", "m2") is Verdict.BUSY
    assert claim(store, key="new").fence > held.fence
    assert finish(store, held, Ending.DONE)


def test_a_frozen_redis_is_unavailable_to_every_call_within_its_timeout(
    private_redis: services.Redis, store: RedisStore, held: Claim
) -> None:
    calls = CHANGES | QUESTIONS
    private_redis.freeze()
    start = time.monotonic()
    assert_unavailable(store, held, calls)
    # Each waits once, for an answer or for the greeting of a new connection.
    assert time.monotonic() - start < 1.8 * TIMEOUT_S * len(calls)


def test_a_request_that_a_frozen_redis_has_kept_is_answered_when_it_is_repeated(
    private_redis: services.Redis, store: RedisStore
) -> None:
    begin(store, request("earlier"))
    asked = request("asked")
    private_redis.freeze()
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            begin(store, asked)
    private_redis.thaw()
    answer = begin(store, asked)
    assert (answer.verdict, answer.lost) == (Verdict.RUN, 0)
    assert record(store, "asked").fence == answer.fence


def test_an_outcome_that_a_frozen_redis_has_kept_counts_when_it_is_repeated(
    private_redis: services.Redis, store: RedisStore, held: Claim
) -> None:
    private_redis.freeze()
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            finish(store, held, Ending.WAITING, due_ms=LONG, retries=1)
    private_redis.thaw()
    assert finish(store, held, Ending.WAITING, due_ms=LONG, retries=1)
    assert (record(store, "held").state, record(store, "held").retries) == ("waiting", 1)


def test_answers_that_come_too_late_are_not_taken_for_others(
    private_redis: services.Redis, store: RedisStore, held: Claim
) -> None:
    private_redis.freeze()
    for number in range(3):
        with pytest.raises(StoreUnavailable):
            begin(store, request(f"lost {number}"))
    private_redis.thaw()
    assert verdict(store, "held", "m2") is Verdict.BUSY
    assert store.renew([held]) == [True]
    assert verdict(store, "new") is Verdict.RUN


def test_a_full_redis_takes_no_change_and_answers_questions(raw: Any, store: RedisStore, held: Claim) -> None:
    with configured(raw, maxmemory="1", maxmemory_policy="noeviction"):
        assert_unavailable(store, held, CHANGES)
        assert record(store, "held").fence == held.fence
        assert len(store.list_open()[0]) == 1
    assert finish(store, held, Ending.DONE)


def test_a_replica_takes_no_change_and_answers_questions(raw: Any, store: RedisStore, held: Claim) -> None:
    raw.replicaof("127.0.0.1", "1")  # nothing is there: it keeps what it has
    try:
        assert_unavailable(store, held, CHANGES)
        assert record(store, "held").fence == held.fence
    finally:
        raw.replicaof("NO", "ONE")
    assert finish(store, held, Ending.DONE)


def test_a_redis_without_the_replicas_that_it_must_have_takes_no_change(
    raw: Any, store: RedisStore, held: Claim
) -> None:
    with configured(raw, min_replicas_to_write="1"):
        assert_unavailable(store, held, CHANGES)
        assert record(store, "held").fence == held.fence
    assert finish(store, held, Ending.DONE)


def test_a_redis_that_is_busy_with_a_script_is_unavailable(
    raw: Any, private_redis: services.Redis, store: RedisStore, held: Claim
) -> None:
    with configured(raw, lua_time_limit=str(SHORT)):
        endless = threading.Thread(target=pytest.raises, args=(redis.ResponseError, raw.eval, "while true do end", 0))
        endless.start()
        with redis.Redis.from_url(private_redis.url) as other:
            until(lambda: is_busy(other), seconds=10, what="a busy Redis")
            assert_unavailable(store, held, CHANGES | QUESTIONS)
            other.script_kill()
        endless.join()
    assert finish(store, held, Ending.DONE)


def is_busy(client: Any) -> bool:
    try:
        client.ping()
    except redis.ResponseError:
        return True
    return False


@pytest.mark.parametrize("password", ["wrong", "right"])
def test_a_user_who_may_not_write_or_has_another_password_is_told(
    raw: Any, private_redis: services.Redis, store: RedisStore, held: Claim, prefix: str, password: str
) -> None:
    raw.acl_setuser(prefix, enabled=True, passwords=["+right"], keys=["*"], categories=["+@read", "+@connection"])
    url = private_redis.url.replace("redis://", f"redis://{prefix}:{password}@")
    assert_unavailable(RedisStore(url, prefix=f"{prefix}:"), held, CHANGES)
    raw.acl_deluser(prefix)
    assert finish(store, held, Ending.DONE)


def test_an_address_where_nothing_is_is_unavailable() -> None:
    assert_unavailable(RedisStore("redis://127.0.0.1:1/0"), Claim(request(), 1), CHANGES | QUESTIONS)
