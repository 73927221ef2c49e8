"""Workers that can't work end by themselves, with status 2 and the cause; none of them needs RabbitMQ for that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from actors.errors import LoadingError
from actors.loading import load
from tests.warm import warm

TASKS = "from actors import actor\n@actor\ndef charge(): ...\n"


def command(*modules: str) -> tuple[str, ...]:
    return ("dramatiq", "actors", *modules, "--processes", "1", "--threads", "1")


class Application:
    """A folder with modules, in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("ACTORS_")}
        self.environment["ACTORS_BROKER_URL"] = "amqp://127.0.0.1:1/"

    def write(self, module: str, text: str) -> None:
        (self.folder / f"{module}.py").write_text(text)

    def worker(self, *modules: str) -> subprocess.CompletedProcess[str]:
        """Run a worker until it ends by itself, and return its status and output."""
        return warm().run("-m", *command(*modules), cwd=self.folder, env=self.environment, timeout_s=60)

    def python(self, text: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-c", text)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture
def application(tmp_path: Path) -> Application:
    return Application(tmp_path)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("raise RuntimeError('half way')", "RuntimeError: half way"),
        ("from actors import actor\nundefined_name", "NameError: name 'undefined_name' is not defined"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f(:", "SyntaxError: invalid syntax (tasks.py, line 1)"),
        (
            "from actors import actor\n@actor(max_retry=1)\ndef charge(): ...",
            "DeclarationError: actor 'charge': unknown option 'max_retry', did you mean 'max_retries'?",
        ),
    ],
)
def test_a_module_that_can_not_be_imported_ends_the_worker_with_its_traceback(
    application: Application, text: str, error: str
) -> None:
    application.write("tasks", text)

    worker = application.worker("tasks")

    assert worker.returncode == 2
    assert f"module 'tasks' can't be imported: {error}" in worker.stderr
    assert "Traceback (most recent call last):" in worker.stderr
    assert "tasks.py" in worker.stderr
    assert "ready for action" not in worker.stderr


def test_a_worker_does_not_start_without_the_rule_that_redacts_its_lines(application: Application) -> None:
    application.write("tasks", TASKS)
    application.environment["ACTORS_LOG_REDACT"] = "tasks:redact"

    worker = application.worker("tasks")

    assert worker.returncode == 2
    assert "ACTORS_LOG_REDACT=tasks:redact can't be imported: AttributeError" in worker.stderr


def test_a_module_that_does_not_exist_ends_the_worker(application: Application) -> None:
    worker = application.worker("badmodule")

    assert worker.returncode == 2
    assert "module 'badmodule' can't be imported: ModuleNotFoundError: No module named 'badmodule'" in worker.stderr


def test_it_is_the_same_for_the_script_that_is_called_dramatiq(application: Application) -> None:
    application.write("tasks", "undefined_name")

    script, *arguments = command("tasks")
    worker = application.run(str(Path(sys.executable).with_name(script)), *arguments)

    assert worker.returncode == 2
    assert "NameError" in worker.stderr


def test_a_worker_without_actors_ends_and_says_how_to_name_modules(application: Application) -> None:
    worker = application.worker()

    assert worker.returncode == 2
    assert (
        "no actors are declared; name the modules that declare them: dramatiq actors shop.tasks, "
        "or ACTORS_MODULES=shop.tasks"
    ) in worker.stderr
    assert "ready for action" not in worker.stderr


def test_a_bad_setting_ends_the_worker_by_its_name(application: Application) -> None:
    application.write("tasks", TASKS)
    application.environment["ACTORS_PREFETCH"] = "many"

    worker = application.worker("tasks")

    assert worker.returncode == 2
    assert "ACTORS_PREFETCH: 'many': input should be a valid integer" in worker.stderr
    assert "Traceback" not in worker.stderr


def test_an_unknown_setting_ends_the_worker_by_its_name(application: Application) -> None:
    application.write("tasks", TASKS)
    application.environment["ACTORS_PREFECH"] = "1"

    worker = application.worker("tasks")

    assert worker.returncode == 2
    assert "unknown setting ACTORS_PREFECH, did you mean 'ACTORS_PREFETCH'?" in worker.stderr


def test_modules_named_in_the_environment_are_loaded_too(application: Application) -> None:
    application.write("one", "print('one is loaded', flush=True)")
    application.write("two", "print('two is loaded', flush=True)")
    application.write("bad", "undefined_name")
    application.environment["ACTORS_MODULES"] = "one,two"

    worker = application.worker("bad")

    assert worker.returncode == 2
    assert "one is loaded" in worker.stderr
    assert "two is loaded" in worker.stderr
    assert "module 'bad' can't be imported" in worker.stderr


def test_a_module_may_import_actors_while_the_application_is_still_being_imported(application: Application) -> None:
    """The application's entry point imports the tasks, and they import actors, before any of them is whole."""
    application.write("tasks", TASKS)
    application.environment["ACTORS_MODULES"] = "tasks"

    imported = application.python("import tasks; from actors import broker; print(sorted(broker.actors))")

    assert (imported.stdout, imported.returncode) == ("['charge']\n", 0)


def test_importing_actors_neither_connects_nor_starts_a_thread(application: Application) -> None:
    imported = application.python("""
import sys

heard = []
sys.addaudithook(lambda event, _: heard.append(event))
from actors import actor, broker

@actor
def charge(order: int) -> None: ...

charge.message(1)
print([event for event in heard if event.startswith(("socket.", "_thread.start"))])
""")

    assert (imported.stderr, imported.stdout, imported.returncode) == ("", "[]\n", 0)


def test_importing_actors_reads_no_settings(application: Application) -> None:
    application.environment["ACTORS_PREFETCH"] = "many"

    assert application.python("import actors").returncode == 0


def test_a_module_that_fails_is_named_and_its_error_kept() -> None:
    with pytest.raises(
        LoadingError, match=r"^module 'no_such_module' can't be imported: ModuleNotFoundError: "
    ) as error:
        load(["json", "no_such_module"])

    assert isinstance(error.value.__cause__, ModuleNotFoundError)
