"""What pytest gives to the tests of an application: a stub broker, and no broker that nobody named.

pytest loads this at every start, in every project that has the package installed; ``actors`` is imported only
once something here needs it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from actors.testing import Clock, StubBroker

MARKER = "actors_connect"
TEST_BROKER_URL = "ACTORS_TEST_BROKER_URL"
BROKER_URL = "ACTORS_BROKER_URL"
NO_DEFAULT_BROKER = "ACTORS_TEST_NO_DEFAULT_BROKER"

REASON = (
    "a test would put jobs into the default file, actors.db, since no broker is named. Take the fixture stub_broker; "
    f"or name one with {TEST_BROKER_URL}, {BROKER_URL} or actors.configure(broker_url=…); or mark the test "
    f"@pytest.mark.{MARKER} if the default is meant"
)

_KEPT = pytest.StashKey[dict[str, str | None]]()


def pytest_configure(config: pytest.Config) -> None:
    """Guard the session; where ``ACTORS_TEST_BROKER_URL`` names a RabbitMQ, use it."""
    config.addinivalue_line("markers", f"{MARKER}: this test may use the default broker, a file")
    config.stash[_KEPT] = {name: os.environ.get(name) for name in (BROKER_URL, NO_DEFAULT_BROKER)}
    if url := os.environ.get(TEST_BROKER_URL):
        os.environ[BROKER_URL] = url
    _forbid(REASON)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave the environment as it was."""
    kept = config.stash.get(_KEPT, {})
    for name, value in kept.items():
        _set(name, value)
    _forbid(kept.get(NO_DEFAULT_BROKER))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Lift the guard for a test that is marked."""
    if item.get_closest_marker(MARKER) is None:
        return (yield)
    _forbid(None)
    try:
        return (yield)
    finally:
        _forbid(REASON)


@pytest.fixture
def stub_broker() -> Iterator[StubBroker]:
    """A broker in memory, to which all actors send during the test."""
    from actors.testing import stub_broker

    with stub_broker() as broker:
        yield broker


@pytest.fixture
def actors_clock(stub_broker: StubBroker) -> Clock:
    """The clock by which delayed messages become due; see ``actors.testing.Clock``."""
    return stub_broker.clock


def _forbid(reason: str | None) -> None:
    """Forbid the default broker, or allow it: to this process, and to those that its tests start."""
    _set(NO_DEFAULT_BROKER, reason)
    # Where actors is imported already, it has read the environment.
    if assembly := sys.modules.get("actors.assembly"):
        assembly.forbid_default_broker(reason)


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
