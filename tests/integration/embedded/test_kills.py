"""Producers and workers that are killed, or have no room to write: nothing is lost, and nothing done twice unawares."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from services.deadline import until
from tests.integration.embedded.mortal import LEASE_MS, Site, dead, left, noted
from tests.warm import Completed, Forked, warm

MODULE = "tests.integration.embedded.mortal"


def effects_of(key: str) -> list[str]:
    """What a message with *key* does, attempt by attempt."""
    if key.endswith("stumbling"):
        return [f"{key}#1", f"{key}#2"]
    return [key, f"told:{key}"] if key.endswith("failing") else [key]


def assert_equal(folder: Path, *, in_flight: int) -> None:
    """Assert that all of what was sent was done, and that no run was a second one without knowing it.

    Of each of *in_flight* producers one send may not have returned when it was killed; it was done, too, or not at all.
    """
    found, graves = noted(folder), dead(folder)
    ran = found["ran"] | found["again"]
    keys = {effect.split("#")[0].removeprefix("told:") for effect in ran}
    sent = set(found["sent"])
    sends = Counter(key.split("-together")[0] if "together" in key else key for key in keys - sent)
    assert sent <= keys
    assert len(sends) <= in_flight
    assert all(count in (1, 3) for count in sends.values())
    assert set(ran) == {effect for key in keys for effect in effects_of(key)}
    # The first run of a message may know of a worker that was lost before it came to run it.
    assert set(found["ran"].values()) <= {1}
    assert graves == Counter(key for key in keys if key.endswith("failing"))
    assert left(folder) == 0


def run(what: str, folder: Path, *arguments: str, timeout_s: float) -> Completed:
    command = ("-m", MODULE, what, str(folder), *arguments)
    done = warm().run(*command, cwd=Path.cwd(), env=os.environ, timeout_s=timeout_s)
    assert done.returncode == 0, done.stderr
    return done


@contextmanager
def process(what: str, folder: Path, *arguments: str) -> Iterator[Forked]:
    """Run it for the block, which begins when it is ready."""
    log = folder / f"{len(list(folder.glob('*.log')))}.log"
    running = warm().start("-m", MODULE, what, str(folder), *arguments, env=os.environ, log=log)
    try:
        until(lambda: "ready" in log.read_text(), seconds=30, what="a process")
        yield running
    finally:
        running.kill()
        running.wait(10)


@pytest.mark.parametrize(
    ("first", "step"),
    [pytest.param(3, 13, id="some"), pytest.param(1, 1, id="each", marks=[pytest.mark.long, pytest.mark.timeout(900)])],
)
def test_a_process_killed_between_any_two_statements_loses_and_doubles_nothing(
    first: int, step: int, tmp_path: Path
) -> None:
    done = run("lives", tmp_path, str(first), str(step), timeout_s=850)

    homes = sorted(tmp_path.iterdir(), key=lambda home: int(home.name))
    assert len(homes) == int(done.stdout) + 1 > 5
    for home in homes:
        assert_equal(home, in_flight=1)
    # The last one was never killed.
    assert noted(homes[-1])["again"] == Counter()


@pytest.mark.parametrize(
    "victims",
    [
        pytest.param(("send",), id="a producer", marks=pytest.mark.long),
        pytest.param(("work",), id="a worker", marks=pytest.mark.long),
        pytest.param(("send", "work"), id="a producer and a worker"),
    ],
)
def test_what_is_killed_again_and_again_loses_and_doubles_nothing(victims: tuple[str, ...], tmp_path: Path) -> None:
    rounds = 4
    with ExitStack() as stack:
        running: dict[str, Forked] = {}

        def start(name: str, number: int) -> None:
            arguments = [f"p{number}"] if name == "send" else []
            running[name] = stack.enter_context(process(name, tmp_path, *arguments))

        for name in ("send", "work"):
            start(name, 0)
        for number in range(1, rounds + 1):
            time.sleep(random.uniform(0.1, 0.5))
            for name in victims:
                running[name].kill()
                running[name].wait(10)
                start(name, number)
        running["send"].kill()
        running["send"].wait(10)
        until(lambda: left(tmp_path) == 0, seconds=60, what="the end of all messages")

    assert_equal(tmp_path, in_flight=rounds + 1)
    assert len(noted(tmp_path)["sent"]) > rounds


def test_what_a_killed_worker_had_runs_one_lease_later(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with process("work", tmp_path) as worker:
        for number in range(50):
            site.send(f"job-{number}")
        worker.kill()
        worker.wait(10)
    killed = time.monotonic()

    site.work()

    assert_equal(tmp_path, in_flight=0)
    assert time.monotonic() - killed < 30 + LEASE_MS / 1000


def test_a_disk_without_room_refuses_sends_stops_no_worker_and_loses_nothing(tmp_path: Path) -> None:
    done = run("starve", tmp_path, timeout_s=120)

    assert int(done.stdout) == 3
    assert_equal(tmp_path, in_flight=0)
    assert done.stderr.count(f"messages wait: {tmp_path}") == done.stderr.count("messages go on: ")
