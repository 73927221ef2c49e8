"""A store under test, what it takes to set it a scene, and the words to do so."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest
import redis

from middleware.stores import Answer, Claim, Ending, MemoryStore, Outcome, Record, Request, Store, Verdict
from middleware.stores.redis import RedisStore
from middleware.stores.sqlite import SCHEMA, SqliteFile, SqliteStore
from services.deadline import until

# A lease, a wait or a retention that is over before anything has been waited for, and one that outlives its test.
SHORT, LONG = 30, 600_000
# How far a real clock may have gone on since the scene was set, in milliseconds.
SLACK = 60_000

_tokens = itertools.count()


class Subject(Protocol):
    """A store, and power over its time and its data."""

    store: Store

    def pass_time(self, ms: int) -> None:
        """Return when *ms* more milliseconds have passed by the store's clock."""

    def lose_everything(self) -> None:
        """Let the store forget all it knows."""

    def another(self) -> Store:
        """Return the same store as another process would see it."""


class InMemory:
    """Its time stands still unless a test lets it pass."""

    def __init__(self) -> None:
        self.time = 1_700_000_000_000
        self.store: Store = MemoryStore(now=lambda: self.time)

    def pass_time(self, ms: int) -> None:
        self.time += ms

    def lose_everything(self) -> None:
        self.time += 1
        self.store = MemoryStore(now=lambda: self.time)

    def another(self) -> Store:
        return self.store


class InSqlite:
    """A file of its own in *folder*; its time stands still unless a test lets it pass."""

    def __init__(self, folder: Path) -> None:
        self.time = 1_700_000_000_000
        self.path = folder / f"{secrets.token_hex(4)}.db"
        self.file = SqliteFile(self.path, schema=SCHEMA)
        self.store: Store = SqliteStore(self.file, now=lambda: self.time)

    def pass_time(self, ms: int) -> None:
        self.time += ms

    def lose_everything(self) -> None:
        self.time += 1
        with self.file.write() as connection:
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
            for (name,) in tables:
                if name != "actors_schema":
                    connection.execute(f"DELETE FROM {name}")

    def another(self) -> Store:
        return SqliteStore(SqliteFile(self.path, schema=SCHEMA), now=lambda: self.time)


class InRedis:
    """A real server, under names of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.prefix = f"t{secrets.token_hex(4)}:"
        self.raw: Any = redis.Redis.from_url(url)
        self.store: Store = self.another()

    def pass_time(self, ms: int) -> None:
        end = self.store.now() + ms
        until(lambda: self.store.now() > end, seconds=ms / 1000 + 10, what=f"{ms} ms on Redis's clock")

    def lose_everything(self) -> None:
        self.raw.flushall()

    def another(self) -> Store:
        return RedisStore(self.url, prefix=self.prefix)


def request(key: str = "k", owner: str = "m1", **options: Any) -> Request:
    """A new delivery of message *owner*, which asks for *key*."""
    defaults = {"token": f"delivery {next(_tokens)}", "lease_ms": LONG, "ttl_ms": LONG}
    return Request(**{"digest": f"v1.{key}", "scope": "charge", "key": key, "owner": owner, **defaults, **options})


def begin(store: Store, asked: Request) -> Answer:
    _, [answer] = store.exchange([], [asked])
    return answer


def claim(store: Store, asked: Request | None = None, **options: Any) -> Claim:
    """The claim that *asked*, or a request with *options*, is given."""
    asked = asked or request(**options)
    answer = begin(store, asked)
    assert answer.verdict is Verdict.RUN
    return Claim(asked, answer.fence, answer.lost, answer.retries)


def finish(store: Store, held: Claim, ending: Ending, **details: Any) -> bool:
    """Whether the outcome of *held* counted."""
    [counted], _ = store.exchange([Outcome(held, ending, **details)], [])
    return counted


def verdict(store: Store, key: str = "k", owner: str = "m1", **options: Any) -> Verdict:
    """What a new delivery of message *owner* is told."""
    return begin(store, request(key, owner, **options)).verdict


def record(store: Store, key: str = "k") -> Record:
    found = store.inspect(f"v1.{key}")
    assert found is not None
    return found


def extended(held: Claim, lease_ms: int) -> Claim:
    """*held*, as if its lease had always been *lease_ms*."""
    return replace(held, request=replace(held.request, lease_ms=lease_ms))


def about(ms: int) -> Any:
    """Equal to a duration or a time that was *ms* when the scene was set."""
    return pytest.approx(ms, abs=SLACK, rel=0)
