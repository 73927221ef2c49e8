"""The `actors` command in this process, in an application of the test's own."""

import json
import logging
import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from actors import assembly
from actors.assembly import broker
from actors.cli.app import app

# Nothing listens there.
BROKER_URL = "amqp://shop:secret@127.0.0.1:1/"


class Application:
    """A folder of modules, in which commands are given."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, module: str, source: str) -> None:
        (self._folder / f"{module}.py").write_text(textwrap.dedent(source))

    def actors(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, arguments, prog_name="actors", catch_exceptions=False)

    def json(self, *arguments: str, status: int = 0) -> Any:
        """What the command prints with --json; it must end with *status*."""
        result = self.actors(*arguments, "--json")
        assert result.exit_code == status, result.output
        return json.loads(result.stdout)


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    """An empty application, in a process that has read no settings and declared no actors."""
    for name in os.environ:
        if name.startswith("ACTORS_") and not name.startswith("ACTORS_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ACTORS_BROKER_URL", BROKER_URL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(assembly, "_settings", None)
    monkeypatch.setattr(assembly.broker, "_engine", None)
    monkeypatch.setattr(broker, "actors", {})
    monkeypatch.setattr(broker, "queues", set())
    modules, session = set(sys.modules), logging.getLogger("actors.brokers.session")
    level = session.level
    yield Application(tmp_path)
    session.setLevel(level)
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    for replaced in ("enqueue", "enqueue_many"):
        vars(broker).pop(replaced, None)
