"""All fleets, one after the other: the one in Redis on the session's server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from middleware.stores.sqlite import SqliteFile
from tests.conformance.fleet.subject import InMemory, InRedis, InSqlite, Subject


@pytest.fixture(params=["memory", "sqlite", "redis"])
def subject(request: pytest.FixtureRequest, tmp_path: Path, prefix: str) -> Iterator[Subject]:
    match request.param:
        case "memory":
            yield InMemory()
        case "sqlite":
            with closing(SqliteFile(tmp_path / "fleet.db", schema=InSqlite.SCHEMA)) as file:
                yield InSqlite(file)
        case _:
            in_redis = InRedis(request.getfixturevalue("redis_url"), prefix)
            yield in_redis
            in_redis.clean()
