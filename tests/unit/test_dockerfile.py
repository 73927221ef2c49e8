"""The Dockerfile, which no engine builds here: what it promises, and that what it copies is there."""

import re
import tomllib
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
STEPS = [line.split(maxsplit=1) for line in TEXT.splitlines() if line and not line.startswith("#")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def arguments_of(instruction: str) -> list[str]:
    return [arguments for name, arguments in STEPS if name == instruction]


def test_it_builds_in_one_stage_and_runs_in_another_on_a_python_that_the_project_takes() -> None:
    build, final = arguments_of("FROM")
    assert build == f"{final} AS build"
    python = re.fullmatch(r"python:(3\.\d+)-slim", final)
    assert python
    assert python[1] in SpecifierSet(PROJECT["project"]["requires-python"])


def test_every_dependency_is_checked_against_its_hash() -> None:
    lock, package = (run for run in arguments_of("RUN") if re.search(r"\bpip (wheel|install)\b", run))
    assert "--require-hashes" in lock
    assert "requirements.lock" in lock
    assert "--no-index" in package
    assert all("--no-cache-dir" in run for run in (lock, package))


def test_it_runs_as_a_user_of_its_own_and_is_signalled_without_a_shell_between() -> None:
    assert [step for step in STEPS if step[0] in {"USER", "CMD", "ENTRYPOINT"}] == [
        ["USER", "10001"],
        ["CMD", '["dramatiq", "actors"]'],
    ]


def test_what_it_copies_exists_and_all_else_is_ignored() -> None:
    first, *others = (ROOT / ".dockerignore").read_text().splitlines()
    assert first == "*"
    kept = [line[1:] for line in others if line.startswith("!")]
    sources = [each for copy in arguments_of("COPY") if "--from" not in copy for each in copy.split()[:-1]]
    assert sorted(sources) == sorted(kept)
    assert all((ROOT / source).exists() for source in sources)
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) < set(sources)
