"""All stores, one after the other: the one in Redis on a real server of this suite's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import services
from middleware.stores import Store
from tests.conformance.stores.subject import InMemory, InRedis, InSqlite, Subject


@pytest.fixture(scope="session")
def flushed_redis() -> Iterator[services.Redis]:
    """A Redis whose data and scripts any test of this suite may flush."""
    with services.redis(private=True) as server:
        yield server


@pytest.fixture
def in_redis(flushed_redis: services.Redis) -> InRedis:
    return InRedis(flushed_redis.url)


@pytest.fixture
def in_sqlite(tmp_path: Path) -> Iterator[InSqlite]:
    subject = InSqlite(tmp_path)
    yield subject
    subject.file.close()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == "memory":
        return InMemory()
    found: Subject = request.getfixturevalue(f"in_{request.param}")
    return found


@pytest.fixture
def store(subject: Subject) -> Store:
    return subject.store
