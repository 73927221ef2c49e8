from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from watchfiles import Change

from actors.dev.changes import Code
from actors.dev.showing import as_json, in_words, while_read
from tests.unit.actors.dev.test_scene import ended, queue, started, state


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"event": "line", "process": "worker", "text": "  hello"}, "worker    |   hello"),
        (state("worker", "ready"), "dev       | worker: ready"),
        (state("worker", "broken", "exit status 2"), "dev       | worker: broken: exit status 2"),
        ({"event": "changed", "paths": ["a.py"], "files": 1}, "dev       | changed: a.py; reloading"),
        (
            {"event": "changed", "paths": ["a.py", "b.py"], "files": 9},
            "dev       | changed: a.py, b.py and 7 more; reloading",
        ),
        ({"event": "unwatched", "why": "too many"}, "dev       | changes are not noticed: too many"),
        (started(1), "worker    | charge begins, message id-1"),
        (ended(1), "worker    | charge done after 12ms, message id-1, attempt 1"),
        (queue("default", 1, 2, 3), ""),
    ],
)
def test_a_record_in_words(record: dict[str, Any], words: str) -> None:
    assert in_words(record) == words


def test_json_is_one_object_a_line_with_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    as_json([started(1), queue("default", 1, 2, 3)])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["event"] for each in lines] == ["started", "queue"]
    assert all(each["time"].endswith("+00:00") for each in lines)


def test_where_nobody_reads_that_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    listening, speaking = os.pipe()
    os.close(listening)
    gone: list[str] = []
    show = while_read(as_json, lambda: gone.append("gone"))
    with os.fdopen(speaking, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        for number in range(3):
            show([started(number)])
    assert gone == ["gone"]


@pytest.mark.parametrize("path", ["shop/tasks.py", "tasks.py", "environment/tasks.py"])
def test_source_is_code(path: str) -> None:
    assert Code()(Change.modified, str(Path("/home/ann") / path))


@pytest.mark.parametrize(
    "path",
    [
        *("actors.db", "actors.db-wal", "notes.txt", "tasks.pyc", "shop/.#tasks.py"),
        *(f"{folder}/tasks.py" for folder in (".venv", "venv", ".git", "__pycache__", "node_modules", ".ruff_cache")),
    ],
)
def test_other_files_are_no_code(path: str) -> None:
    assert not Code()(Change.modified, str(Path("/home/ann") / path))
