"""Operators' commands that are killed: no message is lost, and none is doubled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.warm import warm

MODULE = "tests.integration.embedded.interrupted"


@pytest.mark.parametrize("command", ["replay", "discard", "restore", "cancel", "run-now"])
def test_a_command_killed_between_any_two_statements_loses_and_doubles_nothing(command: str, tmp_path: Path) -> None:
    done = warm().run("-m", MODULE, command, str(tmp_path), cwd=Path.cwd(), env=os.environ, timeout_s=100)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 8
