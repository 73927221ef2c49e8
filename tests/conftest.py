"""Real servers for every tier: one RabbitMQ and one Redis a session, started by the first test that asks."""

import os
import secrets
import shutil
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import services

# A shell's background job ignores Ctrl-C, and so would all that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine fails no test.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# The servers' data is in memory where there is room. One that is killed loses nothing, and no test waits for a disk.
MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 * 1024**3
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM_BYTES:
    os.environ.setdefault("ACTORS_TEST_FOLDER", str(MEMORY))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let what a test has captured be sent between processes, also where it is no Unicode."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[services.RabbitMQ]:
    """The session's RabbitMQ, shared: use names that start with `prefix`, and leave it running."""
    with services.rabbitmq() as broker:
        yield broker


@pytest.fixture(scope="session")
def broker_url(rabbitmq_server: services.RabbitMQ) -> str:
    return rabbitmq_server.url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[services.Redis]:
    """The session's Redis, shared: use keys that start with `prefix`, and leave it running."""
    with services.redis() as store:
        yield store


@pytest.fixture(scope="session")
def redis_url(redis_server: services.Redis) -> str:
    return redis_server.url


@pytest.fixture(scope="session")
def victim_rabbitmq() -> Iterator[services.RabbitMQ]:
    with services.rabbitmq(private=True) as broker:
        yield broker


@pytest.fixture
def private_rabbitmq(victim_rabbitmq: services.RabbitMQ) -> Iterator[services.RabbitMQ]:
    """The session's second RabbitMQ, to stop, kill and freeze: it runs again when the test is over."""
    yield victim_rabbitmq
    victim_rabbitmq.thaw()
    victim_rabbitmq.start()


@pytest.fixture(scope="session")
def victim_redis() -> Iterator[services.Redis]:
    with services.redis(private=True) as store:
        yield store


@pytest.fixture
def private_redis(victim_redis: services.Redis) -> Iterator[services.Redis]:
    """The session's second Redis, to stop, kill and freeze: it runs again when the test is over."""
    yield victim_redis
    victim_redis.thaw()
    victim_redis.start()


@pytest.fixture
def prefix() -> str:
    """A short string of this test's own, for names on shared servers."""
    return f"t{secrets.token_hex(4)}"
