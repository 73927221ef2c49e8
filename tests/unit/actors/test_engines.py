"""Settings become an engine and a store."""

from pathlib import Path

import pytest

from actors.brokers.rabbitmq import RabbitmqEngine
from actors.brokers.sqlite import SqliteEngine
from actors.configuration import read
from actors.engines import engine_of, store_of
from actors.errors import SettingsError
from middleware.stores.redis import RedisStore
from middleware.stores.sqlite import SqliteStore
from tests.unit.actors.test_configuration import _no_settings  # noqa: F401


def test_the_scheme_of_the_url_says_which_engine_and_which_store(tmp_path: Path) -> None:
    embedded, served = read({"broker_url": f"sqlite:///{tmp_path}/a.db"}), read({"broker_url": "amqp://h/"})
    assert isinstance(engine_of(embedded, list), SqliteEngine)
    assert isinstance(store_of(embedded), SqliteStore)
    assert isinstance(engine_of(served, list), RabbitmqEngine)
    assert isinstance(store_of(served), RedisStore)


def test_engine_and_store_share_one_file_and_nothing_of_it_is_there_before_it_is_used(tmp_path: Path) -> None:
    settings = read({"broker_url": f"sqlite:///{tmp_path}/a.db"})
    engine, store = engine_of(settings, list), store_of(settings)
    assert isinstance(engine, SqliteEngine)
    assert isinstance(store, SqliteStore)
    assert store._file is engine.options.file
    assert list(tmp_path.iterdir()) == []


def test_in_production_where_jobs_are_kept_is_said_and_not_defaulted() -> None:
    with pytest.raises(SettingsError, match=r"ACTORS_ENV=production and no ACTORS_BROKER_URL: jobs would be in"):
        engine_of(read({"env": "production"}), list)
    named = engine_of(read({"env": "production", "broker_url": "sqlite:///jobs.db"}), list)
    assert named.where.endswith("/jobs.db")


def test_a_queue_prefix_is_refused_where_a_file_keeps_environments_apart() -> None:
    with pytest.raises(SettingsError, match=r"ACTORS_QUEUE_PREFIX: 'staging': a file is kept apart from others"):
        engine_of(read({"queue_prefix": "staging"}), list)


@pytest.mark.parametrize("name", [":memory:", "file:jobs.db"])
def test_what_is_no_file_is_refused_with_its_name(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        engine_of(read({"broker_url": f"sqlite:///{name}"}), list)
