from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.schedulers import Schedulers
from tests.faults.ticks import Plan
from tests.integration.periodic.shop import Shop
from tests.integration.project import Project


@pytest.fixture
def shop(project: Project) -> Iterator[Shop]:
    """An application with schedules; nothing of it runs yet."""
    shop = Shop(project)
    yield shop
    shop.close()


@pytest.fixture
def schedulers(broker_url: str, redis_url: str, prefix: str, tmp_path: Path) -> Iterator[Schedulers]:
    """Replicas of a scheduler that is to enqueue 200 ticks a second; none is started yet."""
    schedulers = Schedulers(broker_url, redis_url, prefix, tmp_path, Plan(last=20, every_ms=100), "quorum")
    yield schedulers
    schedulers.close()
