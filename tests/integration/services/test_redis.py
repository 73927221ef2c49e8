from collections.abc import Callable

import pytest
import redis

from services import Redis


def stop_and_start(store: Redis) -> None:
    store.stop()
    store.start()


def kill_and_start(store: Redis) -> None:
    store.kill()
    store.start()


def kill_frozen_and_start(store: Redis) -> None:
    store.freeze()
    kill_and_start(store)


@pytest.mark.parametrize("cycle", [stop_and_start, kill_and_start, kill_frozen_and_start, Redis.restart])
def test_keys_survive(private_redis: Redis, prefix: str, cycle: Callable[[Redis], None]) -> None:
    url = private_redis.url
    with redis.Redis.from_url(url) as client:
        client.set(prefix, "kept")
    cycle(private_redis)
    assert private_redis.url == url
    with redis.Redis.from_url(url) as client:
        assert client.get(prefix) == b"kept"


def test_a_frozen_server_is_silent_until_it_is_thawed(private_redis: Redis) -> None:
    with redis.Redis.from_url(private_redis.url, socket_timeout=0.3, retry=None) as client:
        private_redis.freeze()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        private_redis.thaw()
        assert client.ping()


@pytest.mark.parametrize("end", [Redis.stop, Redis.kill])
def test_an_ended_server_refuses_connections_at_once(private_redis: Redis, end: Callable[[Redis], None]) -> None:
    end(private_redis)
    with redis.Redis.from_url(private_redis.url, retry=None) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_the_version_is_the_servers_own(private_redis: Redis) -> None:
    with redis.Redis.from_url(private_redis.url) as client:
        assert private_redis.version == client.info("server")["redis_version"]
