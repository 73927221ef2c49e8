"""Every snippet of the README and of docs/: Python is run, commands are looked up.

A Python snippet whose first line is a comment with a path, such as ``# shop/tasks.py``, becomes that file and is
imported; any other is run as it is, beside the files of its page. One that can't be run says so after
its language: ``python not run``.
"""

import importlib.util
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dramatiq.cli import make_argument_parser

from actors.configuration import PREFIX, Settings, variable
from tests.warm import warm

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]

FENCE = re.compile(r"^```(?P<language>\w+)[ ]*(?P<mark>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (?P<path>[\w/]+\.py)")
SHELLS = {"sh", "bash", "console", "shell"}
NOT_RUN = "not run"
EMBEDDED = {"ACTORS_BROKER_URL": "sqlite:///jobs.db"}

# What a reader's machine has, whatever is on this one.
TOOLS = {"cd", "cp", "curl", "docker", "export", "git", "kubectl", "pip", "systemctl", "uv"}


@dataclass(frozen=True)
class Snippet:
    line: int
    language: str
    mark: str
    code: str


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_snippet_works(page: Path, broker_url: str, prefix: str, tmp_path: Path) -> None:
    served = {"ACTORS_BROKER_URL": broker_url, "ACTORS_QUEUE_PREFIX": prefix}
    check(page.read_text(), tmp_path, EMBEDDED if page.name == "embedded.md" else served)


def test_every_snippet_of_the_readme_works_without_a_server(tmp_path: Path) -> None:
    check((ROOT / "README.md").read_text(), tmp_path, EMBEDDED)


def check(page: str, folder: Path, settings: dict[str, str]) -> None:
    for snippet in snippets(page):
        if snippet.mark == NOT_RUN:
            continue
        assert not snippet.mark, f"line {snippet.line}: unknown mark {snippet.mark!r}"
        if snippet.language == "python":
            run(snippet, folder, settings)
        elif snippet.language in SHELLS:
            for command in commands(snippet.code):
                problem = problem_of(command, folder)
                assert problem is None, f"line {snippet.line}: {shlex.join(command)}: {problem}"


def snippets(page: str) -> Iterator[Snippet]:
    for found in FENCE.finditer(page):
        line = page.count("\n", 0, found.start()) + 1
        yield Snippet(line, found["language"], found["mark"], found["code"])


def run(snippet: Snippet, folder: Path, settings: dict[str, str]) -> None:
    named = FILE.match(snippet.code)
    path = folder / (named["path"] if named else f"line_{snippet.line}.py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(snippet.code)
    module = ".".join(path.relative_to(folder).with_suffix("").parts)
    how = ["-c", f"import {module}"] if named else [path.name]
    done = warm().run(*how, cwd=folder, env=os.environ | settings, timeout_s=60)
    assert done.returncode == 0, f"line {snippet.line}: {done.stderr}"


def commands(code: str) -> Iterator[list[str]]:
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words:
            yield words


def problem_of(command: list[str], folder: Path) -> str | None:
    """What keeps the command from working, as far as can be seen without running it."""
    match command:
        case [word, *_] if unknown_setting(word):
            return f"unknown setting {word}"
        case [assignment, *rest] if "=" in assignment:
            return problem_of(rest, folder) if rest else None
        case ["export", *assignments]:
            return next((f"unknown setting {each}" for each in assignments if unknown_setting(each)), None)
        case ["make", target, *_]:
            return None if f"\n{target}:" in (ROOT / "Makefile").read_text() else "no such target"
        case ["dramatiq", *arguments]:
            parsed = make_argument_parser().parse_args(arguments)
            return missing([parsed.broker, *parsed.modules], folder)
        case ["python" | "python3", "-m" | "-Im", module, *_]:
            return missing([module], folder)
        case [executable, *_] if executable in TOOLS or shutil.which(executable, path=path_of_commands()):
            return None
    return "no such command"


def unknown_setting(assignment: str) -> bool:
    name = assignment.partition("=")[0]
    return name.startswith(PREFIX) and name not in map(variable, Settings.model_fields)


def missing(modules: list[str], folder: Path) -> str | None:
    for module in (each.partition(":")[0] for each in modules):
        if not (folder / module.replace(".", "/")).with_suffix(".py").exists() and not installed(module):
            return f"no module {module}"
    return None


def installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its package
        return False


def path_of_commands() -> str:
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


SAMPLE = """
```python
# shop/tasks.py
from actors import actor

@actor
def charge(order_id: int) -> None: ...
```
```python
from shop.tasks import charge
charge.send(42)
```
```python not run
charge.send(of_thin_air)
```
```console
$ make demo  # the main job
$ ACTORS_PREFETCH=10 dramatiq actors shop.tasks -p 1
$ python -m periodic shop.tasks
$ docker compose up
```
```json
{"whatever": "is no code"}
```
"""


def test_a_page_that_works_is_accepted(broker_url: str, prefix: str, tmp_path: Path) -> None:
    check(SAMPLE, tmp_path, {"ACTORS_BROKER_URL": broker_url, "ACTORS_QUEUE_PREFIX": prefix})


@pytest.mark.parametrize(
    ("snippet", "problem"),
    [
        ("python\nimport nothing_such", "line 1: .*No module named"),
        ("python\n# shop/tasks.py\nfrom actors import nothing_such", "line 1: .*cannot import name"),
        ("python slow\nprint()", "line 1: unknown mark 'slow'"),
        ("sh\nmake coffee", "make coffee: no such target"),
        ("sh\ndramatiq actors shop.nothing", "dramatiq actors shop.nothing: no module shop.nothing"),
        ("sh\npython -m nothing_such", "python -m nothing_such: no module nothing_such"),
        ("sh\nACTORS_PREFECH=1 dramatiq actors", "unknown setting ACTORS_PREFECH=1"),
        ("sh\nexport ACTORS_PREFECH=1", "unknown setting ACTORS_PREFECH=1"),
        ("sh\nno-such-command --now", "no-such-command --now: no such command"),
    ],
)
def test_a_page_that_does_not_work_is_refused(snippet: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=f"(?s){problem}"):
        check(f"```{snippet}\n```\n", tmp_path, {})
