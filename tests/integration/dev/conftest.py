from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.dev.session import Session


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """An application; nothing of it runs yet, and nothing does when the test is over."""
    session = Session(tmp_path)
    yield session
    session.sweep()
