"""What is particular to a place: what stays there, and what becomes of it when it does not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actors.fleet import Fleet, Interest
from actors.fleet.redis import RedisFleet
from actors.fleet.sqlite import SCHEMA, SqliteFleet
from middleware.stores import StoreUnavailable
from middleware.stores.redis import RedisStore
from middleware.stores.sqlite import SqliteFile
from tests.conformance.fleet.subject import InRedis

CALLS: list[Callable[[Fleet], object]] = [
    lambda fleet: fleet.beat("a", "", keep_ms=1_000),
    lambda fleet: fleet.leave("a"),
    lambda fleet: fleet.members(),
    lambda fleet: fleet.interest(),
    lambda fleet: fleet.want(Interest(watched=True), for_ms=1_000),
    lambda fleet: fleet.publish(["1"]),
    lambda fleet: fleet.newest(1),
    lambda fleet: fleet.after("0", limit=1),
]


@pytest.fixture
def in_redis(redis_url: str, prefix: str) -> Iterator[InRedis]:
    subject = InRedis(redis_url, prefix)
    yield subject
    subject.clean()


def test_all_of_it_expires_in_redis(in_redis: InRedis) -> None:
    in_redis.fleet.beat("a", "", keep_ms=1_000)
    in_redis.fleet.want(Interest(True, True), for_ms=1_000)
    in_redis.fleet.publish(["1"])
    assert len(in_redis.names()) == 5
    assert {name for name in in_redis.names() if in_redis.raw.ttl(name) < 0} == set()


@pytest.mark.parametrize("call", CALLS)
def test_a_redis_that_does_not_answer_is_an_outage(call: Callable[[Fleet], object]) -> None:
    fleet = RedisFleet(RedisStore("redis://127.0.0.1:1/0", timeout_s=0.2))
    with pytest.raises(StoreUnavailable, match="does not answer"):
        call(fleet)


@pytest.mark.parametrize("call", CALLS)
def test_a_file_that_can_not_be_used_is_an_outage(call: Callable[[Fleet], object], tmp_path: Path) -> None:
    fleet = SqliteFleet(SqliteFile(tmp_path / "nowhere" / "fleet.db", schema=SCHEMA))
    with pytest.raises(StoreUnavailable, match="nowhere"):
        call(fleet)
