"""A file of a test's own, with the broker's tables."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.brokers.sqlite.schema import SCHEMA
from middleware.stores.sqlite import SqliteFile
from tests.unit.brokers.sqlite.table import Table


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SqliteFile]:
    file = SqliteFile(tmp_path / "actors.db", schema=SCHEMA, timeout_s=5.0)
    yield file
    file.close()


@pytest.fixture
def table(file: SqliteFile) -> Table:
    return Table(file)
