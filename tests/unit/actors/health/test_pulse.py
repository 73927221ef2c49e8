"""The thread that tells of a process."""

import json
import logging
import os
import time
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path

import pytest

from actors.health.heartbeat import FOLDER, Heartbeat
from actors.health.pages import Page
from actors.health.pulse import Pulse
from actors.health.workers import Limits
from services.deadline import until
from services.ports import free_port
from tests.unit.actors.health.asking import ask
from tests.unit.actors.health.beats import beat

LIMITS = Limits(silent_s=60, turn_s=70)


def now() -> Heartbeat:
    return beat(at_s=time.monotonic(), consumers=())


def pulse_of(place: Path, port: int) -> Pulse:
    pages = {"/metrics": lambda: Page(HTTPStatus.OK, "text/plain", b"1\n")}
    return Pulse(place, f"127.0.0.1:{port}", look=now, limits=LIMITS, pages=pages)


def test_it_answers_from_its_start_to_its_end_also_for_what_is_mounted(tmp_path: Path) -> None:
    port = free_port()
    pulse = pulse_of(tmp_path, port)

    pulse.start()
    until(lambda: ask(port, "/live")[0] == 200, seconds=5, what="life")
    assert ask(port, "/ready")[0] == 503  # it consumes nothing
    assert ask(port, "/metrics") == (200, "1\n")
    pulse.end()

    assert ask(port, "/live")[0] == 0
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_process_that_can_not_write_is_not_ready_and_nobody_is_restarted_for_that(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    port = free_port()
    pulse = pulse_of(tmp_path, port)
    # A sibling's, which it could not write again since.
    silent = beat(at_s=time.monotonic() - 100, consumers=())
    folder = tmp_path / FOLDER
    (folder / f"{os.getpid()}.json").write_text(json.dumps(asdict(silent)))
    (folder / f"{os.getpid()}.new").mkdir()

    pulse.start()
    until(lambda: ask(port, "/live")[0] == 200, seconds=5, what="life")
    status, told = ask(port, "/ready")

    assert status == 503
    assert "this process can't write its own" in told
    assert caplog.text.count("no heartbeat can be written") == 1
    pulse.end()
