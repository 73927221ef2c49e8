from __future__ import annotations

import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.brokers.sqlite.bell import LOOK_DEAF_EVERY_S, LOOK_EVERY_S, Bell, Ear

# Far longer than anything here takes, in seconds: whoever waits for it has not been woken.
LONG = 30.0


@pytest.fixture
def bell(tmp_path: Path) -> Bell:
    return Bell(tmp_path / "actors.db")


@pytest.fixture
def ear(bell: Bell) -> Iterator[Ear]:
    ear = Ear(bell, "default")
    yield ear
    ear.close()


def heard(ear: Ear) -> bool:
    return ear.wait(0)


def test_a_ring_wakes_all_that_listen_for_its_queue(bell: Bell, ear: Ear) -> None:
    another, elsewhere = Ear(bell, "default"), Ear(bell, "other")

    bell.ring(["default"])

    assert ear.wait(LONG)
    assert another.wait(LONG)
    assert not heard(elsewhere)
    for each in (another, elsewhere):
        each.close()


def test_one_ring_is_heard_once(bell: Bell, ear: Ear) -> None:
    bell.ring(["default"])

    assert heard(ear)
    assert not heard(ear)


def test_a_ring_that_comes_before_the_wait_is_heard(bell: Bell, ear: Ear) -> None:
    for _ in range(1_000):
        bell.ring(["default"])

    assert ear.wait(LONG)
    assert not heard(ear)


def test_a_ring_of_another_process_is_heard_whatever_link_it_came_by(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "actors.db")
    ear = Ear(Bell(tmp_path / "actors.db"), "default")
    program = """
        import pathlib, sys
        from actors.brokers.sqlite.bell import Bell
        Bell(pathlib.Path(sys.argv[1])).ring(["default"])
    """

    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "link.db")]
    subprocess.run(command, check=True, timeout=60)

    assert ear.wait(LONG)
    ear.close()


def test_another_thread_wakes_without_a_ring(ear: Ear) -> None:
    thread = threading.Thread(target=ear.wake)
    thread.start()
    started = time.monotonic()

    assert not ear.wait(LONG)

    assert time.monotonic() - started < LONG
    thread.join()


def test_who_is_woken_twice_before_it_waits_waits_once(ear: Ear) -> None:
    ear.wake()
    ear.wake()
    ear.wait(LONG)
    started = time.monotonic()
    ear.wait(0.05)
    assert time.monotonic() - started >= 0.04
    ear.wake()
    assert not ear.wait(LONG)


def test_the_files_of_two_paths_have_two_bells(tmp_path: Path, ear: Ear) -> None:
    Bell(tmp_path / "other.db").ring(["default"])

    assert not heard(ear)


def test_what_a_killed_process_has_left_is_removed_by_the_next_ring(bell: Bell, ear: Ear, tmp_path: Path) -> None:
    program = """
        import os, pathlib, sys
        from actors.brokers.sqlite.bell import Bell
        ear = Bell(pathlib.Path(sys.argv[1])).listen("default")
        os._exit(0 if ear is not None else 1)
    """
    mine = set(bell.folder.iterdir())
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "actors.db")]
    subprocess.run(command, check=True, timeout=60)
    assert len(set(bell.folder.iterdir())) == 2

    bell.ring(["default"])

    assert set(bell.folder.iterdir()) == mine
    assert heard(ear)


def test_the_folder_is_its_user_s_alone_and_goes_with_the_last_that_listens(bell: Bell) -> None:
    first, second = Ear(bell, "default"), Ear(bell, "default")
    assert stat.S_IMODE(bell.folder.stat().st_mode) == 0o700
    first.close()
    assert bell.folder.exists()
    killed = bell.listen("default")
    assert killed is not None
    killed.close()
    second.close()
    assert not bell.folder.exists()
    bell.ring(["default"])  # nobody, which is no error


def test_a_folder_that_others_may_write_to_is_not_used(bell: Bell, caplog: pytest.LogCaptureFixture) -> None:
    bell.folder.mkdir(mode=0o700)
    bell.folder.chmod(0o777)

    ear = Ear(bell, "default")

    assert ear.look_every_s == LOOK_DEAF_EVERY_S < LOOK_EVERY_S
    assert "not this user's alone" in caplog.text
    assert list(bell.folder.iterdir()) == []
    ear.close()
    bell.folder.rmdir()


def test_who_can_hear_no_rings_is_still_woken_by_its_own_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # The path of a socket has some hundred characters at most.
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    ear = Ear(Bell(tmp_path / "actors.db"), "default")

    assert ear.look_every_s == LOOK_DEAF_EVERY_S
    assert "rings can't be heard" in caplog.text
    ear.wake()
    assert not ear.wait(LONG)
    ear.close()


def test_ringing_where_a_socket_is_no_socket_hurts_nobody(bell: Bell, ear: Ear) -> None:
    mine = next(bell.folder.iterdir())
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path = mine.with_name(f"{mine.name}-stream")
    stream.bind(str(path))

    bell.ring(["default"])

    assert ear.wait(LONG)
    stream.close()
    path.unlink()
