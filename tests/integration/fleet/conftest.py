"""Deployments: one on servers, one in a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.fleet.site import Site, in_file, on_servers
from tests.integration.project import Project


@pytest.fixture(params=["servers", "file"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """An application whose workers tell of themselves often, and are soon forgotten; nothing of it runs yet."""
    if request.param == "servers":
        project: Project = request.getfixturevalue("project")
        found = on_servers(project)
    else:
        found = in_file(tmp_path)
    yield found
    found.close()
