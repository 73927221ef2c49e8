"""All ledgers, one after the other: in RabbitMQ, on the session's server, and in a file of the test's own."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.ledgers.on_rabbitmq import OnRabbitmq
from tests.conformance.ledgers.on_sqlite import OnSqlite
from tests.conformance.ledgers.subject import Subject


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder where the servers' data are, too: in memory, if there is room."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("ACTORS_TEST_FOLDER")) as path:
        yield Path(path)


@pytest.fixture(params=["rabbitmq", "sqlite"])
def subject(request: pytest.FixtureRequest, folder: Path) -> Iterator[Subject]:
    on_sqlite = request.param == "sqlite"
    made: Subject = OnSqlite(folder) if on_sqlite else OnRabbitmq(request.getfixturevalue("rabbitmq_server"))
    yield made
    made.close()
