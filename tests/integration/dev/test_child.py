"""A process and its keeper, with commands of our own."""

import os
import sys
from pathlib import Path
from typing import Any

from actors.dev.child import Child
from services.deadline import until
from tests.integration.dev.session import PATIENCE_S

TELL = "from actors.dev.telling import tell\n"


class Kept:
    """A child that runs *code*, and what it has reported."""

    def __init__(self, code: str, grace_s: float = 30) -> None:
        self.records: list[dict[str, Any]] = []
        env = os.environ | {"PYTHONUNBUFFERED": "1"}
        self.child = Child("it", [sys.executable, "-c", code], env, grace_s=grace_s, report=self.records.append)

    def texts(self) -> list[str]:
        return [each["text"] for each in self.records if each["event"] == "line"]

    def until_exit(self) -> tuple[int, str]:
        until(self._has_ended, seconds=PATIENCE_S, what="the exit")
        assert all(each["process"] == "it" for each in self.records)
        return self.records[-1]["status"], self.records[-1]["why"]

    def _has_ended(self) -> bool:
        return bool(self.records) and self.records[-1]["event"] == "exit"


def test_what_is_told_in_the_middle_of_a_line_does_not_break_it() -> None:
    kept = Kept(TELL + "print('half', end=''); tell('ready', actors=1); print(' and half'); print('end', end='')")
    assert kept.until_exit() == (0, "")
    assert [each["event"] for each in kept.records] == ["ready", "line", "line", "exit"]
    assert kept.texts() == ["half and half", "end"]


def test_its_status_is_that_of_the_command() -> None:
    assert Kept("raise SystemExit(2)").until_exit() == (2, "")
    assert Kept("import os; os.kill(os.getpid(), 11)").until_exit() == (-11, "")


def test_what_the_command_leaves_behind_is_killed(tmp_path: Path) -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '1000']).pid)"
    kept = Kept(code)
    assert kept.until_exit() == (0, "")
    [pid] = map(int, kept.texts())
    until(lambda: not is_there(pid), seconds=PATIENCE_S, what="the end of what was left behind")


def test_stopped_it_gets_one_sigterm() -> None:
    kept = Kept(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('term'))\n"
        "print('up')\n"
        "signal.pause(); time.sleep(0.2); sys.exit(7)"
    )
    until(kept.texts, seconds=PATIENCE_S, what="its start")
    kept.child.stop()
    assert kept.until_exit() == (7, "")
    assert kept.texts() == ["up", "term"]


def test_what_does_not_end_within_its_grace_is_killed() -> None:
    code = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up')\nwhile True: signal.pause()"
    kept = Kept(code, grace_s=0.2)
    until(kept.texts, seconds=PATIENCE_S, what="its start")
    kept.child.stop()
    assert kept.until_exit() == (-9, "still there 0.2 s after SIGTERM, and killed")


def is_there(pid: int) -> bool:
    """Whether it is, and is no zombie that init has yet to collect."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
