"""Pitfall 35: an evicting Redis forgets jobs; only module-level functions run, and nobody says so."""

from collections.abc import Iterator

import pytest
import redis

import services
from tests.integration.project import Project


@pytest.fixture
def evicting_redis(private_redis: services.Redis) -> Iterator[services.Redis]:
    with redis.Redis.from_url(private_redis.url) as client:
        yield private_redis
        client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_p35_check_refuses_an_evicting_maxmemory_policy(
    project: Project, evicting_redis: services.Redis, policy: str
) -> None:
    assert project.findings("redis-eviction", ACTORS_STORE_URL=evicting_redis.url).popitem()[1]["status"] == "ok"
    with redis.Redis.from_url(evicting_redis.url) as client:
        client.config_set("maxmemory-policy", policy)
    found = project.findings("redis-eviction", status=1, ACTORS_STORE_URL=evicting_redis.url).popitem()[1]
    assert found["status"] == "error"
    assert policy in found["what"]
    assert "noeviction" in found["advice"]


def test_p35_a_nested_actor_is_refused_at_declaration(project: Project) -> None:
    project.write("nested", "import actors\ndef make():\n    @actors.actor\n    def job() -> None: ...\nmake()\n")
    ended = project.actors("check", "nested")
    assert ended.returncode == 2
    assert "not at the top level of its module" in ended.stdout


def test_p35_a_duplicate_actor_is_refused_at_declaration(project: Project) -> None:
    project.write("twice", "import actors\nimport shop_tasks\n@actors.actor\ndef charge() -> None: ...\n")
    ended = project.actors("check", "twice")
    assert ended.returncode == 2
    assert "actor 'charge': the name is taken by shop_tasks.charge" in ended.stdout
