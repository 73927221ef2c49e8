"""Commands that go on: in a terminal, and at the end of a pipe."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.fleet import Interest
from services.deadline import until
from tests.integration.dev.terminal import Terminal
from tests.integration.fleet.site import Site, in_file

PATIENCE_S = 20


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Site]:
    site = in_file(tmp_path)
    yield site
    site.close()


def test_top_is_drawn_again_each_second_until_q_is_pressed(file: Site) -> None:
    file.fleet.beat("m", "of a release that tells something else", keep_ms=60_000)
    command = [sys.executable, "-m", "actors", "top"]
    terminal = Terminal(command, folder=file.project.folder, env=file.project.env)
    try:
        until(lambda: terminal.text().count("0 workers; 0.0 attempts/s") >= 2, seconds=PATIENCE_S, what="two frames")
        assert "QUEUE" in terminal.text()
        terminal.press(b"q")
        assert terminal.process.wait(PATIENCE_S) == 0
        assert "Traceback" not in terminal.text()
    finally:
        terminal.end()


def test_who_follows_ends_with_the_pipe(file: Site) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "actors", "events", "--follow", "--json"],
        cwd=file.project.folder,
        env=file.project.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        until(lambda: file.fleet.interest() == Interest(followed=True), seconds=PATIENCE_S, what="one who follows")
        file.fleet.publish([json.dumps({"event": "attempt", "outcome": "done"})])
        # It comes at once, and not when a buffer is full.
        assert json.loads(process.stdout.readline())["outcome"] == "done"
        process.stdout.close()
        # Nothing more is written, and it ends all the same.
        assert process.wait(PATIENCE_S) == 0
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
