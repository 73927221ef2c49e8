"""What processes tell of themselves, in files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from actors.health.heartbeat import FOLDER, Consuming, Heartbeats
from tests.unit.actors.health.beats import beat


def test_what_one_process_tells_is_what_another_reads(tmp_path: Path) -> None:
    told = beat(consumers=(Consuming("default", "it is starting", None),), lost=("worker thread 2",), store="no answer")

    Heartbeats(tmp_path).keep(told)

    assert Heartbeats(tmp_path).living() == [told]


def test_the_newest_counts_and_nothing_else_is_left(tmp_path: Path) -> None:
    heartbeats = Heartbeats(tmp_path)

    for second in range(3):
        heartbeats.keep(beat(at_s=second))

    assert [each.at_s for each in heartbeats.living()] == [2]
    assert len(list((tmp_path / FOLDER).iterdir())) == 1


def test_a_process_that_ends_is_forgotten(tmp_path: Path) -> None:
    heartbeats = Heartbeats(tmp_path)
    heartbeats.keep(beat())

    heartbeats.drop(os.getpid())
    heartbeats.drop(os.getpid())

    assert heartbeats.living() == []


def test_what_a_killed_process_has_left_is_removed_half_written_or_not(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-Ic", ""])
    gone.wait()
    heartbeats = Heartbeats(tmp_path)
    heartbeats.keep(beat(pid=gone.pid))
    (tmp_path / FOLDER / f"{gone.pid}.new").write_text("{")

    assert heartbeats.living() == []
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_process_that_has_got_the_number_of_a_killed_one_is_not_taken_for_it(tmp_path: Path) -> None:
    heartbeats = Heartbeats(tmp_path)
    heartbeats.keep(beat(started="1"))

    assert heartbeats.living() == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": 1}', '{"consumers": [{}]}', "null", "\xff"])
def test_what_is_no_heartbeat_of_this_version_is_passed_over(tmp_path: Path, text: str) -> None:
    heartbeats = Heartbeats(tmp_path)
    (tmp_path / FOLDER / f"{os.getpid()}.json").write_text(text, encoding="latin-1")

    assert heartbeats.living() == []


def test_a_folder_that_somebody_has_tidied_away_is_made_again(tmp_path: Path) -> None:
    heartbeats = Heartbeats(tmp_path)
    (tmp_path / FOLDER).rmdir()

    heartbeats.keep(beat())

    assert heartbeats.living() == [beat()]
