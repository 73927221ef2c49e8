"""Where the jobs of the demo are: a file, or servers that end when the demo does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import services
from middleware.stores import Store
from middleware.stores.redis import RedisStore
from middleware.stores.sqlite import SCHEMA, SqliteFile, SqliteStore


@dataclass(frozen=True)
class Place:
    """Where the jobs are.

    Attributes:
        words: the same, for people.
        env: tells the workers and the application.
        store: says whether a job is left.
    """

    words: str
    env: Mapping[str, str]
    store: Store


Open = Callable[[Path], AbstractContextManager[Place]]


@contextmanager
def sqlite(folder: Path) -> Iterator[Place]:
    """Keep all in one file in *folder*; there is nothing to start."""
    path = folder / "jobs.db"
    with closing(SqliteFile(path, schema=SCHEMA)) as file:
        # What workers on a file ring each other with is among temporary files; it is removed with the folder, too.
        env = {"ACTORS_BROKER_URL": f"sqlite:///{path}", "TMPDIR": str(folder)}
        yield Place(f"one SQLite file, {path}", env, SqliteStore(file))


@contextmanager
def rabbitmq(_: Path) -> Iterator[Place]:
    """Start a RabbitMQ and a Redis.

    Raises:
        ServiceError: there is none to be had on this machine, or it did not start.
    """
    with services.rabbitmq(private=True) as broker, services.redis(private=True) as redis:
        words = f"RabbitMQ {broker.version}, and their keys in Redis {redis.version}"
        env = {"ACTORS_BROKER_URL": broker.url, "ACTORS_STORE_URL": redis.url}
        yield Place(words, env, RedisStore(redis.url))


PLACES: Mapping[str, Open] = {"sqlite": sqlite, "rabbitmq": rabbitmq}
