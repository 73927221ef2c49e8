"""A file, and the session's RabbitMQ and Redis."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.migrating.site import Site


@pytest.fixture
def site(tmp_path: Path, broker_url: str, redis_url: str, prefix: str) -> Iterator[Site]:
    site = Site(tmp_path, broker_url, redis_url, prefix)
    yield site
    site.close()
