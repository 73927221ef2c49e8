"""Numbers of processes that have ended are neither lost nor doubled, whoever is killed while they are merged."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from middleware.metrics import Files, Place, Sample
from middleware.metrics.catalogue import ATTEMPTS, WAIT
from middleware.metrics.room import FIRST
from middleware.metrics.sink import SUM
from tests.unit.middleware.metrics.numbers import told

DONE = Sample(ATTEMPTS, ("charge", "default", "done"))
TOTAL = "actors_attempts_total actor=charge outcome=done queue=default"
SOON, LATE, SUMMED = (Sample(WAIT, ("charge", "default"), bucket) for bucket in (0, 3, SUM))
COUNT, SUM_S = (f"actors_attempt_wait_seconds_{name} actor=charge queue=default" for name in ("count", "sum"))


class Killed(BaseException):
    """Stands for SIGKILL: nothing runs after it."""


def count_and_end(place: Place, *, times: int = 1) -> None:
    """Do what a process does that counts, and ends."""
    for _ in range(times):
        files = Files(place)
        files.add({DONE: 1, SOON: 1, LATE: 2, SUMMED: 0.25})
        files.close()


def dead_pid() -> int:
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    return process.pid


def librarys(folder: Path, source: str) -> None:
    """Let a process that ends at once count with prometheus_client in *folder*."""
    env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    subprocess.run([sys.executable, "-c", source], env=env, check=True, timeout=30)


def test_what_ended_processes_have_counted_goes_on_in_a_handful_of_files(tmp_path: Path) -> None:
    place = Place(tmp_path)
    alive = Files(place)
    alive.add({DONE: 5})
    count_and_end(place)
    for restart in range(1, 1_000):
        files = Files(place)
        files.add({DONE: 1})
        files.close()
        if restart % 100 == 0:
            place.enter()

    found = told(place.families())
    assert found[TOTAL] == 1_005
    assert (found[COUNT], found[SUM_S]) == (3, 0.25)
    assert found[f"{COUNT.replace('_count', '_bucket').replace(' queue', ' le=0.005 queue')}"] == 1
    assert sorted(each.name.partition("-")[0] for each in tmp_path.glob("*.db")) == [
        "counter_actors",
        "counter_merged",
        "histogram_merged",
    ]
    # And the one that lives goes on counting where it is.
    alive.add({DONE: 1})
    assert told(place.families())[TOTAL] == 1_006


class Mortal:
    """Dies at a certain one of the calls that change a directory."""

    def __init__(self, at: int) -> None:
        self.left = at

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def dying(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                raise Killed
            return call(*args, **kwargs)

        return dying


def test_a_kill_at_any_instant_of_a_merge_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lives(place: Place, *, until: int) -> bool:
        with monkeypatch.context() as patched, suppress(Killed):
            mortal = Mortal(until)
            for name in ("replace", "unlink", "write_text"):
                patched.setattr(Path, name, mortal.wrap(getattr(Path, name)))
            place.families()
            return True
        return False

    at, lived = 0, False
    while not lived:
        at += 1
        place = Place(tmp_path / str(at))
        count_and_end(place)
        place.enter()
        count_and_end(place, times=2)
        lived = lives(place, until=at)
        # And who finishes the work is killed at that, too.
        lives(place, until=2)

        found = told(Place(place.path).families())
        assert (found[TOTAL], found[COUNT]) == (3, 9)
        assert not (place.path / "merging.json").exists()
    assert at > 10, "a merge changes a directory more often than that"


def test_a_gauge_of_an_ended_process_is_gone_and_its_counters_stay(tmp_path: Path) -> None:
    place = Place(tmp_path)
    source = (
        "from prometheus_client import Counter, Gauge, Summary\n"
        "Counter('shop_orders', 'Orders.').inc(3)\nGauge('shop_open', 'Open.').set(1)\n"
        "Summary('shop_total', 'Total.').observe(2.5)"
    )
    librarys(tmp_path, source)
    librarys(tmp_path, source)

    found = told(place.families())
    assert found == {"shop_orders_total": 6, "shop_total_count": 2, "shop_total_sum": 5.0}


def test_a_process_with_the_id_of_an_ended_one_does_not_go_on_with_its_files(tmp_path: Path) -> None:
    librarys(
        tmp_path, "from prometheus_client import Counter, Gauge\nCounter('a', 'A.').inc(3)\nGauge('b', 'B.').set(1)"
    )
    for left in tmp_path.glob("*.db"):
        stem = left.name.rpartition("_")[0]
        left.rename(tmp_path / f"{stem}_{os.getpid()}.db")

    Place(tmp_path).enter()

    assert told(Place(tmp_path).families()) == {"a_total": 3}
    assert not list(tmp_path.glob(f"*_{os.getpid()}.db"))


def test_a_file_of_a_live_process_of_the_application_is_left_to_it(tmp_path: Path) -> None:
    librarys(tmp_path, "from prometheus_client import Counter\nCounter('a', 'A.').inc(3)")
    [left] = tmp_path.glob("*.db")
    left.rename(tmp_path / f"counter_{os.getppid()}.db")
    Place(tmp_path).enter()
    assert (tmp_path / f"counter_{os.getppid()}.db").exists()


def test_a_file_that_can_not_be_read_keeps_no_other_from_being_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place(tmp_path)
    count_and_end(place)
    (tmp_path / f"counter_{dead_pid()}.db").write_bytes(b"\x60\0\0\0\0\0\0\0\x10\x27" + 90 * b"\0")

    assert told(place.families())[TOTAL] == 1
    assert "can't be read, and is left out" in caplog.text


def test_processes_that_are_killed_while_others_merge_and_read_lose_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path)
    source = f"""
import os, signal
from pathlib import Path
from middleware.metrics import Files, Place, Sample
from middleware.metrics.catalogue import ATTEMPTS
import prometheus_client.mmap_dict
one = {{Sample(ATTEMPTS, ("charge", "default", "done")): 1}}
for _ in range(5):
    for _ in range(4):
        if os.fork() == 0:
            place = Place(Path({str(tmp_path)!r}))
            place.enter()
            files = Files(place)
            for _ in range(250):
                files.add(one)
            os.kill(os.getpid(), signal.SIGKILL)
    for _ in range(4):
        os.wait()
"""
    with subprocess.Popen([sys.executable, "-c", source]) as process:
        before = 0.0
        while process.poll() is None:
            now = told(place.families()).get(TOTAL, 0.0)
            assert now >= before
            before = now
    assert process.returncode == 0
    assert told(place.families())[TOTAL] == 5 * 4 * 250
    assert len(list(tmp_path.glob("*.db"))) == 1


def test_files_have_their_room_on_the_disk_before_they_are_written_to(tmp_path: Path) -> None:
    """Memory that is mapped and finds none ends the process."""
    place = Place(tmp_path)
    files = Files(place)
    for number in range(300):
        files.add({Sample(WAIT, (f"actor_{number}", "default"), SUM): 1.0})
        [file] = tmp_path.glob("*.db")
        assert file.stat().st_blocks * 512 >= file.stat().st_size
    assert file.stat().st_size > 4 * FIRST
    files.close()
    place.enter()
    [merged] = tmp_path.glob("histogram_merged*.db")
    assert merged.stat().st_blocks * 512 >= merged.stat().st_size
    assert len(told(place.families())) == 300 * 18


def test_a_disk_that_is_full_takes_nothing_from_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    place = Place(tmp_path)
    count_and_end(place, times=2)
    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        for fails in (place.families, place.enter, lambda: Files(place).add({DONE: 1})):
            with pytest.raises(OSError, match="no space left"):
                fails()
    assert told(place.families())[TOTAL] == 2


def test_a_forked_child_counts_for_itself(tmp_path: Path) -> None:
    place = Place(tmp_path)
    source = f"""
import os
from pathlib import Path
from middleware.metrics import Files, Place, Sample
from middleware.metrics.catalogue import ATTEMPTS
files, one = Files(Place(Path({str(tmp_path)!r}))), Sample(ATTEMPTS, ("charge", "default", "done"))
files.add({{one: 1}})
child = os.fork()
files.add({{one: 10}})
if child:
    os.waitpid(child, 0)
"""
    subprocess.run([sys.executable, "-c", source], check=True, timeout=30)
    assert told(place.families())[TOTAL] == 21
