"""Operators' commands that are killed: no message is lost, and none is doubled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MODULE = "tests.integration.embedded.interrupted"


@pytest.mark.parametrize("command", ["replay", "discard", "restore", "cancel", "run-now"])
def test_a_command_killed_between_any_two_statements_loses_and_doubles_nothing(command: str, tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", MODULE, command, str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 8
