"""All ledgers, one after the other: in RabbitMQ, on the session's server, in a file of its own, and in memory."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.ledgers.on_rabbitmq import OnRabbitmq
from tests.conformance.ledgers.on_sqlite import in_file, in_memory
from tests.conformance.ledgers.subject import Subject


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder where the servers' data are, too: in memory, if there is room."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("ACTORS_TEST_FOLDER")) as path:
        yield Path(path)


@pytest.fixture(params=["rabbitmq", "sqlite", "memory"])
def subject(request: pytest.FixtureRequest, folder: Path) -> Iterator[Subject]:
    made: Subject
    match request.param:
        case "rabbitmq":
            made = OnRabbitmq(request.getfixturevalue("rabbitmq_server"))
        case "sqlite":
            made = in_file(folder)
        case _:
            made = in_memory(folder)
    yield made
    made.close()
