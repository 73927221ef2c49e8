"""The type checker, run once over both folders, finds exactly what their comments say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mypy import api

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

_ERROR = re.compile(r"^(?P<path>[^:]+):(?P<line>\d+): error: .*\[(?P<code>[a-z-]+)\]$", re.MULTILINE)
_EXPECTED = re.compile(r"# E: (?P<codes>[a-z, -]+)$")

Place = tuple[str, int, str]


@pytest.fixture(scope="module")
def output() -> str:
    """What mypy says with the project's own configuration, which is strict."""
    files = sorted(str(path.relative_to(ROOT)) for path in HERE.glob("*/*.py"))
    stdout, stderr, _ = api.run(["--config-file", "pyproject.toml", "--show-error-codes", "--no-pretty", *files])
    assert not stderr
    return stdout


@pytest.fixture(scope="module")
def found(output: str) -> list[Place]:
    return [(error["path"], int(error["line"]), error["code"]) for error in _ERROR.finditer(output)]


def expected() -> list[Place]:
    return [
        (str(path.relative_to(ROOT)), number, code)
        for path in sorted((HERE / "refused").glob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if (match := _EXPECTED.search(line))
        for code in match["codes"].split(", ")
    ]


def test_what_works_is_accepted(found: list[Place], output: str) -> None:
    assert [place for place in found if "/accepted/" in place[0]] == [], output


def test_what_could_not_work_is_refused_on_its_line_with_its_code_and_nothing_else_is(
    found: list[Place], output: str
) -> None:
    assert sorted(found) == sorted(expected()), output


def test_every_file_is_looked_at() -> None:
    assert {path.parent.name for path in HERE.glob("*/*.py")} == {"accepted", "refused"}
