"""What `actors check --connect` makes of what Redis says of itself."""

from typing import Any

import pytest
import redis

from actors.checks.redis import check_redis

URL = "redis://:secret@127.0.0.1:1/0"
WELL = {"redis_version": "6.2.0", "maxmemory_policy": "noeviction", "aof_enabled": 1}


@pytest.fixture
def info(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    said = dict(WELL)
    monkeypatch.setattr(redis.Redis, "ping", lambda client: True)
    monkeypatch.setattr(redis.Redis, "info", lambda client: said)
    return said


def statuses() -> dict[str, str]:
    return {finding.check: finding.status for finding in check_redis(URL, 1.0)}


def test_the_oldest_redis_that_remembers_is_well(info: dict[str, Any]) -> None:
    checks = ("redis", "redis-version", "redis-eviction", "redis-persistence")
    assert statuses() == dict.fromkeys(checks, "ok")


@pytest.mark.parametrize(
    ("said", "check", "status"),
    [
        ({"redis_version": "6.0.16"}, "redis-version", "error"),
        ({"redis_version": "5.0"}, "redis-version", "error"),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.0"}, "redis-version", "ok"),
        ({"maxmemory_policy": "volatile-lru"}, "redis-eviction", "error"),
        ({"maxmemory": 100_000_000}, "redis-eviction", "ok"),
        ({"maxmemory_policy": None}, "redis-eviction", "warning"),
        ({"aof_enabled": 0}, "redis-persistence", "warning"),
        ({"aof_enabled": None}, "redis-persistence", "warning"),
    ],
)
def test_each_thing_is_judged_by_itself(info: dict[str, Any], said: dict[str, Any], check: str, status: str) -> None:
    info.update(said)
    assert statuses() == dict.fromkeys(statuses(), "ok") | {check: status}


def test_a_redis_that_is_away_is_an_error_without_its_password() -> None:
    [finding] = check_redis(URL, 0.5)
    assert (finding.check, finding.status) == ("redis", "error")
    assert "secret" not in f"{finding.subject}{finding.what}"
