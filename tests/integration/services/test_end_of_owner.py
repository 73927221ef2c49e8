"""Servers end with the process that started them, however that ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.deadline import until

OWNER = """
import services
with {servers}:
    print("ready", flush=True)
    input()
"""
REDIS = OWNER.format(servers="services.redis(private=True)")
BOTH = OWNER.format(servers="services.rabbitmq(private=True), services.redis(private=True)")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signalled_owner_takes_its_redis_along(tmp_path: Path, ending: signal.Signals) -> None:
    with started(REDIS, tmp_path) as owner:
        assert_nothing_outlives(owner, tmp_path, ending)


def test_a_killed_owner_takes_every_process_and_folder_along(tmp_path: Path) -> None:
    with started(BOTH, tmp_path) as owner:
        assert len(list(tmp_path.iterdir())) == 2
        assert_nothing_outlives(owner, tmp_path, signal.SIGKILL)


def test_an_owner_that_ends_leaves_nothing(tmp_path: Path) -> None:
    with started(REDIS, tmp_path) as owner:
        family = descendants(owner.pid)
        owner.communicate(b"\n", timeout=30)
        assert owner.returncode == 0
        assert list(tmp_path.iterdir()) == []
        assert running() & family == set()


def started(program: str, folder: Path) -> subprocess.Popen[bytes]:
    owner = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"ACTORS_TEST_FOLDER": str(folder)},
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"ready\n"
    return owner


def assert_nothing_outlives(owner: subprocess.Popen[bytes], folder: Path, ending: signal.Signals) -> None:
    family = descendants(owner.pid)
    assert family
    owner.send_signal(ending)
    assert owner.wait(30) != 0
    until(lambda: not running() & family, seconds=10, what="the end of every server")
    until(lambda: not list(folder.iterdir()), seconds=10, what="the removal of every folder")


def descendants(pid: int) -> set[int]:
    parents = {child: parent for child, parent, _ in processes()}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def running() -> set[int]:
    """Every process but the zombies, which wait for a parent that may never ask for them."""
    return {pid for pid, _, state in processes() if not state.startswith("Z")}


def processes() -> list[tuple[int, int, str]]:
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    return [(int(pid), int(parent), state) for pid, parent, state in (line.split() for line in table.splitlines())]
