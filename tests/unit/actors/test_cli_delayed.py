"""`actors delayed`: what it prints of what was found."""

import json
import logging
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from actors.cli.audit import log
from actors.delayed import Dealt, Delayed, Found, Looked, Page
from tests.unit.actors.conftest import Application

SOON = Delayed("m1", "charge", "default", 0, 2, 1_234, "hold.3276800.quorum")
HOLD = Looked("hold.3276800.quorum", 3_276_800, 1_000, 0)


class Waiting:
    """What there is to find, and what was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.page = Page([], "", [], 0)
        self.dealt = Dealt([], [], [], 0)

    def __call__(self, **options: Any) -> "Waiting":
        self.asked |= options
        return self

    def look(self, **options: Any) -> Page:
        self.asked |= options
        if options["after"] == "there":
            raise ValueError
        return self.page

    def cancel(self, ids: Sequence[str], note: Callable[[Found], None]) -> Dealt:
        self.asked |= {"cancel": list(ids)}
        return self._deal(note)

    def run_now(self, ids: Sequence[str], note: Callable[[Found], None]) -> Dealt:
        self.asked |= {"run_now": list(ids)}
        return self._deal(note)

    def _deal(self, note: Callable[[Found], None]) -> Dealt:
        for found in self.dealt.found:
            note(found)
        return self.dealt


@pytest.fixture
def waiting(application: Application, monkeypatch: pytest.MonkeyPatch) -> Waiting:
    waiting = Waiting()
    monkeypatch.setattr("actors.cli.delayed.delayed_messages", waiting)
    return waiting


def due_in(milliseconds: int) -> Delayed:
    return replace(SOON, due=time.time_ns() // 1_000_000 + milliseconds)


def audited(stderr: str) -> Any:
    [line] = [line for line in stderr.splitlines() if line.startswith("audit: ")]
    return json.loads(line.removeprefix("audit: "))


def test_a_row_says_which_message_is_due_when_and_where(application: Application, waiting: Waiting) -> None:
    waiting.page = Page([due_in(5_400_500), due_in(-65_000)], "", [HOLD], 0)
    result = application.actors("delayed", "list")
    heading, first, second, empty, hold_heading, hold = result.stdout.splitlines()
    assert heading.split() == ["MESSAGE", "ACTOR", "QUEUE", "DUE", "RETRIES", "BYTES"]
    row = first.split()
    assert (row[:3], row[4:6], row[-2:]) == (["m1", "charge", "default"], ["(in", "1h30m)"], ["2", "1,234"])
    assert row[3].endswith("+00:00")
    assert "(for 1m5s)" in second
    assert empty == ""
    assert hold_heading.split() == ["HOLD", "QUEUE", "HELD", "FOR", "MESSAGES", "LOOKED", "AT"]
    assert hold.split() == ["hold.3276800.quorum", "54m36s", "1,000", "1,000"]
    assert result.stderr == ""


def test_what_can_not_be_decoded_is_said_to_be_so(application: Application, waiting: Waiting) -> None:
    waiting.page = Page([replace(SOON, actor=None, message_id="", retries=0, due=10**18)], "", [HOLD], 0)
    [_, row, *_] = application.actors("delayed", "list").stdout.splitlines()
    assert row.split()[:5] == ["-", "(can't", "be", "decoded)", "default"]
    assert f"{10**18} ms after 1970" in row
    assert row.split()[-2:] == ["-", "1,234"]
    [listed] = application.json("delayed", "list")["delayed"]
    assert (listed["actor"], listed["message_id"]) == (None, "")


def test_a_message_can_not_write_on_the_terminal(application: Application, waiting: Waiting) -> None:
    waiting.page = Page([replace(SOON, message_id="a\nb\x1b[2J", actor="c\nd", queue="e\nf")], "", [], 0)
    stdout = application.actors("delayed", "list").stdout
    assert '"a\\nb\\u001b[2J"' in stdout
    assert len(stdout.splitlines()) == 2


def test_the_last_line_of_a_page_is_the_command_for_the_next(application: Application, waiting: Waiting) -> None:
    waiting.page = Page([SOON], "17:m 1", [], 0)
    application.write("shop_tasks", "from actors import actor\n\n@actor\ndef charge(order_id: int) -> None: ...\n")
    given = ["--queue", "default", "--actor", "charge", "--limit", "1", "--depth", "5", "-m", "shop_tasks"]
    last = application.actors("delayed", "list", *given).stdout.splitlines()[-1]
    assert {"queue": "default", "actor": "charge", "limit": 1, "after": "", "depth": 5}.items() <= waiting.asked.items()
    program, *following = shlex.split(last.removeprefix("next page: "))
    assert program == "actors"
    application.actors(*following)
    assert {"queue": "default", "actor": "charge", "limit": 1, "after": "17:m 1", "depth": 5}.items() <= (
        waiting.asked.items()
    )
    assert application.json("delayed", "list")["next"] == "17:m 1"


def test_a_malformed_cursor_is_a_usage_error(application: Application, waiting: Waiting) -> None:
    result = application.actors("delayed", "list", "--after", "there")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--after" in result.stderr


def test_what_was_not_looked_at_is_said(application: Application, waiting: Waiting) -> None:
    waiting.page = Page([SOON], "", [replace(HOLD, left=47_211), HOLD], 2)
    result = application.actors("delayed", "list")
    [first, second] = result.stderr.splitlines()
    assert first == "Warning: looked at 1,000 of 48,211 in hold.3276800.quorum; for more give --depth"
    assert second.startswith("Warning: 2 relays did not answer in time; what is kept there, up to 32 messages")
    report = application.json("delayed", "list")
    assert report["holds"][0] == {
        "hold_queue": "hold.3276800.quorum",
        "hold_ms": 3_276_800,
        "messages": 48_211,
        "looked_at": 1_000,
    }
    assert report["silent_relays"] == 2


@pytest.mark.parametrize(("command", "done"), [("cancel", "cancelled"), ("run-now", "released")])
def test_each_message_that_is_dealt_with_leaves_a_line_for_an_audit(
    application: Application, waiting: Waiting, caplog: pytest.LogCaptureFixture, command: str, done: str
) -> None:
    waiting.dealt = Dealt([Found(due_in(60_000))], [], [HOLD], 0)
    with caplog.at_level(logging.INFO, log.name):
        result = application.actors("delayed", command, "m1", "m1")
    assert (result.exit_code, waiting.asked[command.replace("-", "_")]) == (0, ["m1", "m1"])
    assert result.stdout.startswith(f"{done} m1 of charge, due 20")
    entry = audited(result.stderr)
    assert (entry["operation"], entry["outcome"], entry["message_id"]) == (command, "done", "m1")
    assert (entry["actor"], entry["queue"], entry["retries"]) == ("charge", "default", 2)
    assert entry["due"].endswith("+00:00")
    assert [vars(record)["audit"] for record in caplog.records] == [entry]
    report = application.json("delayed", command, "m1")
    assert [each["message_id"] for each in report[done]] == ["m1"]


def test_a_message_that_can_not_be_moved_ends_the_command_with_1(application: Application, waiting: Waiting) -> None:
    waiting.dealt = Dealt([Found(SOON, "the queue is full")], [], [HOLD], 0)
    result = application.actors("delayed", "run-now", "m1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert audited(result.stderr)["outcome"] == "failed"
    assert result.stderr.splitlines()[-1] == "Error: 'm1' still waits: the queue is full"
    [failed] = application.json("delayed", "run-now", "m1", status=1)["failed"]
    assert (failed["message_id"], failed["problem"]) == ("m1", "the queue is full")


@pytest.mark.parametrize(
    ("left", "silent", "text"),
    [
        (0, 0, "It may be due already, cancelled before or mistyped."),
        (7, 0, "mistyped or behind the first 500 messages of hold.3276800.quorum (give a higher --depth)."),
        (0, 1, "mistyped or kept by one of 1 relay that did not answer (try again, or upgrade its worker)."),
    ],
)
def test_a_message_that_is_not_found_may_be_in_several_places(
    application: Application, waiting: Waiting, left: int, silent: int, text: str
) -> None:
    waiting.dealt = Dealt([Found(SOON)], ["m2", "m3"], [replace(HOLD, left=left)], silent)
    result = application.actors("delayed", "cancel", "m1", "m2", "m3", "--depth", "500")
    assert result.exit_code == 1
    assert result.stdout.startswith("cancelled m1 ")
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: 'm2', 'm3': not among the delayed messages of amqp://shop:***@127.0.0.1:1/. ")
    assert last.endswith(text)
    assert application.json("delayed", "cancel", "m2", status=1)["missing"] == ["m2", "m3"]


@pytest.mark.parametrize("depth", ["0", "65536"])
def test_the_depth_is_bounded(application: Application, waiting: Waiting, depth: str) -> None:
    assert application.actors("delayed", "list", "--depth", depth).exit_code == 2


def test_ids_are_needed(application: Application, waiting: Waiting) -> None:
    assert application.actors("delayed", "cancel").exit_code == 2
