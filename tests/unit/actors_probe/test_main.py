"""The command that asks how a process is."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.health.pages import verdict
from actors.health.server import ProbeServer, serve
from periodic.health import Check
from services.ports import free_port

CHECKS: list[Check] = []


@pytest.fixture
def server() -> Iterator[ProbeServer]:
    started = serve("127.0.0.1:0", {"/ready": lambda: verdict(CHECKS)})
    assert started is not None
    yield started
    CHECKS.clear()
    started.close()


def probe(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-Im", "actors_probe", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30)


def test_p25_it_imports_nothing_of_the_application_and_says_what_is_wrong(server: ProbeServer, tmp_path: Path) -> None:
    (tmp_path / "http.py").write_text("raise RuntimeError('the application is imported')")
    well = probe(f":{server.server_port}/ready", folder=tmp_path)
    assert (well.returncode, '"ok": true' in well.stdout, well.stderr) == (0, True, "")

    CHECKS.append(Check("consumers", False, "no channel to RabbitMQ", "see that it runs"))
    ill = probe(f"127.0.0.1:{server.server_port}/ready", folder=tmp_path)
    assert (ill.returncode, "no channel to RabbitMQ" in ill.stdout) == (1, True)


def test_nobody_who_answers_is_a_failure_with_one_line(tmp_path: Path) -> None:
    place = f":{free_port()}/live"

    ended = probe(place, folder=tmp_path)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"{place} does not answer: ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [(), ("8081",), (":8081",), ("http://x:1/live",), (":1/live", "more")])
def test_a_wrong_command_is_told_how_it_is_used(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    from actors_probe.__main__ import MISUSED, USAGE, main

    assert main(list(arguments)) == MISUSED
    assert capsys.readouterr().err == f"{USAGE}\n"
