"""What a process tells of itself travels as JSON, also between releases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.fleet import ActorWork, Report
from actors.fleet.report import State
from tests.unit.actors.fleet.scene import report, running


def test_a_report_is_read_as_it_was_told() -> None:
    told = report(running=(running(),), actors={"charge": ActorWork(3, 1, 0.5, 3, 1.5)}, state=State.PAUSED, why="…")
    assert Report.decode(told.encode()) == told


def test_what_a_later_release_tells_besides_is_passed_over() -> None:
    text = json.dumps(json.loads(report().encode()) | {"mood": "good"})
    assert Report.decode(text) == report()


@pytest.mark.parametrize("broken", ["", "{}", "[]", "null", {"state": "asleep"}, {"running": [{}]}, {"actors": 3}])
def test_what_is_no_report_is_refused(broken: str | dict[str, Any]) -> None:
    text = broken if isinstance(broken, str) else json.dumps(json.loads(report().encode()) | broken)
    with pytest.raises(ValueError):  # noqa: PT011  # of whichever kind
        Report.decode(text)
