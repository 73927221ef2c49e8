"""A fleet under test, and power over its time."""

from __future__ import annotations

import time
from typing import Any, Protocol

import redis

from actors.fleet import Fleet
from actors.fleet.memory import MemoryFleet
from actors.fleet.redis import RedisFleet
from actors.fleet.sqlite import SCHEMA, SqliteFleet
from middleware.stores.redis import RedisStore
from middleware.stores.sqlite import SqliteFile

# A time that is soon over, and one that outlives its test, in milliseconds.
SHORT, LONG = 60, 600_000


class Subject(Protocol):
    """A fleet, and power over its time."""

    fleet: Fleet

    def another(self) -> Fleet:
        """Return the same fleet as another process sees it."""

    def pass_time(self, ms: int) -> None:
        """Return when *ms* more milliseconds have passed by the fleet's clock."""


class InMemory:
    def __init__(self) -> None:
        self.time = 1_700_000_000_000
        self.fleet: Fleet = MemoryFleet(lambda: self.time)

    def another(self) -> Fleet:
        return self.fleet

    def pass_time(self, ms: int) -> None:
        self.time += ms


class InSqlite:
    SCHEMA = SCHEMA

    def __init__(self, file: SqliteFile) -> None:
        self.time = 1_700_000_000_000
        self.file = file
        self.fleet: Fleet = self.another()

    def another(self) -> SqliteFleet:
        return SqliteFleet(self.file, now=lambda: self.time)

    def pass_time(self, ms: int) -> None:
        self.time += ms


class InRedis:
    def __init__(self, url: str, prefix: str) -> None:
        self.raw: Any = redis.Redis.from_url(url, decode_responses=True)
        self.prefix = f"{prefix}:"
        self._url = url
        self.fleet: Fleet = self.another()

    def another(self) -> RedisFleet:
        return RedisFleet(RedisStore(self._url, prefix=self.prefix))

    def pass_time(self, ms: int) -> None:
        time.sleep((ms + 5) / 1_000)

    def names(self) -> list[str]:
        return sorted(self.raw.scan_iter(f"{self.prefix}*"))

    def clean(self) -> None:
        for name in self.names():
            self.raw.delete(name)
        self.raw.close()
