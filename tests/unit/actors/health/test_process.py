"""Processes that have left a word, and whether they are there still."""

import os
import subprocess
import sys

from actors.health.process import is_there, started


def test_a_process_is_there_under_its_number_and_its_start() -> None:
    since = started(os.getpid())

    assert since
    assert is_there(os.getpid(), since)


def test_another_process_with_the_same_number_is_not_the_one() -> None:
    assert not is_there(os.getpid(), "1")


def test_one_that_has_ended_is_not_there_even_if_nobody_has_waited_for_it() -> None:
    child = subprocess.Popen([sys.executable, "-Ic", "input()"], stdin=subprocess.PIPE)
    since = started(child.pid)
    assert since is not None
    assert is_there(child.pid, since)

    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert not is_there(child.pid, since)
    child.wait()
    assert not is_there(child.pid, since)
    assert started(child.pid) is None
