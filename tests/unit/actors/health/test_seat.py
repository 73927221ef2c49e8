"""Who answers probes, within one process; siblings are in tests/integration/health."""

import logging
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from actors.health.pages import verdict
from actors.health.seat import Seat
from services.ports import accepts, free_port

PAGES = {"/live": lambda: verdict([])}


def test_it_is_taken_once_and_is_free_again_when_it_is_left(tmp_path: Path) -> None:
    port = free_port()
    seat = Seat(tmp_path, f"127.0.0.1:{port}", PAGES)

    assert [seat.take(), seat.take(), accepts(port)] == [True, True, True]
    seat.leave()
    assert not accepts(port)
    assert seat.take()
    seat.leave()


def test_a_port_that_another_program_has_is_told_of_once_and_taken_when_it_is_free(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        seat = Seat(tmp_path, f"127.0.0.1:{foreign.getsockname()[1]}", PAGES)
        assert [seat.take(), seat.take()] == [False, False]

    assert len(caplog.records) == 1
    assert "ACTORS_HEALTH_ADDRESS: nothing can listen on" in caplog.text
    assert "jobs run all the same" in caplog.text
    assert seat.take()
    seat.leave()


FORKS = """
import os, sys, time
from actors.health.server import serve
from actors.health.pages import verdict

address = sys.argv[1]
server = serve(address, {"/live": lambda: verdict([])})
child = os.fork()
if child == 0:
    sys.stdin.read()
    os._exit(0)
server.close()
again = serve(address, {})
print("again")
"""


def test_what_a_job_forks_does_not_keep_the_port() -> None:
    address = f"127.0.0.1:{free_port()}"
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", FORKS, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "again\n"
        process.communicate()
        assert process.returncode == 0
