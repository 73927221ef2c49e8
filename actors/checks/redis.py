"""Redis: reachable, new enough, and not one that forgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import redis

from actors.brokers.nodes import mask_password
from actors.checks.finding import Finding, error, ok, warning
from actors.checks.versions import is_older
from actors.configuration import variable

OLDEST = (6, 2)


def check_redis(url: str, timeout_s: float) -> Iterator[Finding]:
    """Look at the store at *url*; each answer may take *timeout_s* seconds."""
    where = mask_password(url)
    client = redis.Redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=None, decode_responses=True
    )
    try:
        with client:
            client.ping()
            yield ok("redis", where, "reachable")
            # INFO and not CONFIG GET, which managed Redis forbids.
            info = client.info()
    except redis.exceptions.NoPermissionError as refused:
        what = f"its version, maxmemory-policy and persistence can't be seen: {refused}"
        advice = "allow the user +info, or make sure that it is noeviction with appendonly yes"
        yield warning("redis-eviction", where, what, advice)
    except redis.RedisError as problem:
        advice = f"start it, or set {variable('store_url')}"
        yield error("redis", where, f"unreachable: {problem}", advice)
    else:
        yield _version(where, info)
        yield _eviction(where, info)
        yield _persistence(where, info)


def _version(where: str, info: Mapping[str, Any]) -> Finding:
    version = str(info.get("redis_version", ""))
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {version}"
    if is_older(version, OLDEST):
        return error("redis-version", where, f"{name} is too old", "upgrade to Redis 6.2 or newer, or to Valkey")
    return ok("redis-version", where, name)


def _eviction(where: str, info: Mapping[str, Any]) -> Finding:
    policy = info.get("maxmemory_policy")
    if policy is None:
        advice = "make sure that it evicts nothing"
        return warning("redis-eviction", where, "the server does not tell its maxmemory-policy", advice)
    if policy == "noeviction":
        return ok("redis-eviction", where, "maxmemory-policy noeviction")
    # Whatever maxmemory is now: an operator who sets it later would not think of this.
    what = f"maxmemory-policy {policy} makes Redis forget records when its memory is full, and jobs then run twice"
    advice = "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf or the provider's settings"
    return error("redis-eviction", where, what, advice)


def _persistence(where: str, info: Mapping[str, Any]) -> Finding:
    kept = info.get("aof_enabled")
    if kept is None:
        advice = "make sure that a restart makes it forget nothing"
        return warning("redis-persistence", where, "the server does not tell whether it is appendonly", advice)
    if kept:
        return ok("redis-persistence", where, "appendonly yes")
    what = "appendonly no: a restart makes Redis forget the keys done since its last snapshot; copies of them run again"
    advice = "CONFIG SET appendonly yes, and the same in redis.conf or the provider's settings"
    return warning("redis-persistence", where, what, advice)
