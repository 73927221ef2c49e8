import json
import os

import pytest

from actors.dev import keeper
from actors.dev.telling import LONGEST_BYTES, MARK, heard, tell


def told(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return capfd.readouterr().err.split("\n")[:-1]


def test_what_is_told_is_heard(capfd: pytest.CaptureFixture[str]) -> None:
    tell("queue", queue="reports", ready=3)
    [line] = told(capfd)
    assert heard(line) == ("", {"event": "queue", "queue": "reports", "ready": 3})


def test_what_is_told_behind_the_beginning_of_a_line_is_heard_and_the_beginning_stays(
    capfd: pytest.CaptureFixture[str],
) -> None:
    os.write(2, b"50 % ")
    tell("ready", actors=1)
    [line] = told(capfd)
    assert heard(line) == ("50 % ", {"event": "ready", "actors": 1})


@pytest.mark.parametrize(
    "line", ["", "plain", '{"event": "ready"}', f"{MARK}no json", f'{MARK}["event"]', f"{MARK}{{}}"]
)
def test_other_lines_stay_as_they_are(line: str) -> None:
    assert heard(line) == (line, None)


def test_no_line_is_so_long_that_others_can_come_between(capfd: pytest.CaptureFixture[str]) -> None:
    tell("queue", queue="q" * LONGEST_BYTES)
    tell("queue", queue="q" * (LONGEST_BYTES - 40))
    [line] = told(capfd)
    assert len(line) < LONGEST_BYTES


def test_text_that_is_no_unicode_is_told_all_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    tell("ended", error="caf\udce9 é")
    [line] = told(capfd)
    assert heard(line) == ("", {"event": "ended", "error": "caf? é"})


def test_where_nobody_listens_nothing_is_raised() -> None:
    listening, speaking = os.pipe()
    kept = os.dup(2)
    os.dup2(speaking, 2)
    os.close(listening)
    os.close(speaking)
    try:
        tell("ready", actors=1)
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def test_the_keeper_which_imports_nothing_uses_the_same_mark() -> None:
    assert keeper.MARK == MARK
    assert heard(f"{MARK}{json.dumps({'event': 'exit'})}")[1] == {"event": "exit"}
