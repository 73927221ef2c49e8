"""The keeper and its worker are real processes; what the worker does is in the script of each test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from middleware import keeper
from services.deadline import until
from tests.warm import Completed, warm

# A worker ends in order at the first SIGTERM, and drops everything at the second, as Dramatiq's.
# It loads the file alone: each test would wait for all of the package.
WORKER = """
import os
import runpy
import signal
import sys
import time

keep = runpy.run_path(sys.argv[1])["keep"]
signals = 0

def note(line):
    with open("notes", "a") as notes:
        notes.write(f"{line}\\n")

def stop(number, frame):
    global signals
    signals += 1
    if signals == 2:
        sys.exit(3)

def wait_for(condition):
    while not condition():
        time.sleep(0.01)

signal.signal(signal.SIGTERM, stop)
kept = keep()
life = 1 + (os.path.exists("notes") and len(open("notes").readlines()))
note(f"{os.getpid()} {os.getppid()} {signals}")
"""


class Kept:
    """A keeper with its worker, beside the test."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self._folder = folder

    @property
    def lives(self) -> list[int]:
        """The process ids of the workers, one after the other."""
        return [int(line.split()[0]) for line in notes(self._folder)]

    def wait_for_lives(self, count: int) -> None:
        until(lambda: len(self.lives) == count, seconds=20, what=f"worker number {count}")

    def wait_for(self, file: str) -> None:
        until(lambda: (self._folder / file).exists(), seconds=20, what=file)


@contextmanager
def kept(folder: Path, script: str) -> Iterator[Kept]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER + script, keeper.__file__],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield Kept(process, folder)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def run(folder: Path, script: str) -> Completed:
    return warm().run("-c", WORKER + script, keeper.__file__, cwd=folder, env=dict(os.environ), timeout_s=30)


def notes(folder: Path) -> list[str]:
    file = folder / "notes"
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("sys.exit(7)", 7),
        ("raise LookupError", 1),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("os.abort()", -signal.SIGABRT),
    ],
)
def test_a_keeper_ends_as_its_worker_has(tmp_path: Path, script: str, status: int) -> None:
    assert run(tmp_path, script).returncode == status
    assert len(notes(tmp_path)) == 1


def test_a_worker_that_has_not_asked_for_it_is_not_replaced_though_it_ends_in_order(tmp_path: Path) -> None:
    assert run(tmp_path, "sys.exit(0)").returncode == 0
    assert len(notes(tmp_path)) == 1


def test_a_worker_that_has_asked_for_it_is_replaced_by_one_that_begins_where_it_began(tmp_path: Path) -> None:
    script = """
if life == 3:
    sys.exit(5)
kept.ask_to_be_replaced()
wait_for(lambda: signals)
"""
    assert run(tmp_path, script).returncode == 5

    pids, parents, signals = zip(*(line.split() for line in notes(tmp_path)), strict=True)
    assert len({*pids}) == 3
    assert len({*parents}) == 1
    assert signals == ("0", "0", "0")


@pytest.mark.parametrize(("end", "status"), [("sys.exit(4)", 4), ("os.kill(os.getpid(), 9)", -9)])
def test_a_worker_that_has_asked_for_it_and_fails_at_its_end_is_not_replaced(
    tmp_path: Path, end: str, status: int
) -> None:
    assert run(tmp_path, f"kept.ask_to_be_replaced()\nwait_for(lambda: signals)\n{end}").returncode == status
    assert len(notes(tmp_path)) == 1


def test_a_keeper_that_is_told_to_stop_passes_it_on_and_ends_in_order(tmp_path: Path) -> None:
    with kept(tmp_path, "wait_for(lambda: signals)") as worker:
        worker.wait_for_lives(1)
        worker.process.terminate()

        assert worker.process.wait(20) == 0
        assert len(worker.lives) == 1


def test_a_keeper_that_is_told_to_stop_twice_passes_that_on_too(tmp_path: Path) -> None:
    with kept(tmp_path, "wait_for(lambda: signals)\nopen('stopping', 'w')\nwait_for(lambda: False)") as worker:
        worker.wait_for_lives(1)
        worker.process.terminate()
        worker.wait_for("stopping")
        worker.process.terminate()

        assert worker.process.wait(20) == 3


@pytest.mark.parametrize("first", ["worker", "keeper"])
def test_the_end_of_all_at_the_end_of_a_worker_is_no_second_signal_and_nothing_follows(
    tmp_path: Path, first: str
) -> None:
    """Else Dramatiq's worker would drop what it has, as if it had been told to stop twice."""
    asks = "kept.ask_to_be_replaced()\nwait_for(lambda: signals)"
    told = "wait_for(lambda: signals)"
    script = f"""
{asks if first == "worker" else told}
open('stopping', 'w')
{told if first == "worker" else asks}
wait_for(lambda: os.path.exists("go"))
sys.exit(signals - 1)
"""
    with kept(tmp_path, script) as worker:
        worker.wait_for_lives(1)
        if first == "worker":
            worker.wait_for("stopping")
        worker.process.terminate()
        worker.wait_for("stopping")
        (tmp_path / "go").touch()

        assert worker.process.wait(20) == 0
        assert len(worker.lives) == 1


def test_a_worker_is_killed_with_its_keeper(tmp_path: Path) -> None:
    with kept(tmp_path, "wait_for(lambda: False)") as worker:
        worker.wait_for_lives(1)
        worker.process.kill()

        # It holds the other end of the pipe.
        _, written = worker.process.communicate(timeout=20)
        assert written == ""


def test_what_is_sent_to_the_keeper_for_the_worker_reaches_it(tmp_path: Path) -> None:
    script = "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(6))\nopen('ready', 'w')\nwait_for(lambda: False)"
    with kept(tmp_path, script) as worker:
        worker.wait_for("ready")
        worker.process.send_signal(signal.SIGUSR1)

        assert worker.process.wait(20) == 6


def test_a_worker_has_the_signals_that_it_had_before(tmp_path: Path) -> None:
    script = """
handlers = [signal.getsignal(each) for each in (signal.SIGCHLD, signal.SIGTERM)]
blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
sys.exit(0 if (handlers, blocked) == ([signal.SIG_DFL, stop], set()) else 1)
"""
    assert run(tmp_path, script).returncode == 0
