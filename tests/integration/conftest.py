"""Applications in processes of their own, on the session's servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.project import Project


@pytest.fixture
def project(tmp_path: Path, broker_url: str, redis_url: str, prefix: str) -> Iterator[Project]:
    """An application with actors on two queues; nothing of it runs yet."""
    project = Project(tmp_path, broker_url=broker_url, store_url=redis_url, prefix=prefix)
    yield project
    project.delete_queues()
