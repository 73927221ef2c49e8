"""What every command has in common."""

import json
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer
from dramatiq.errors import ConnectionFailed

from actors.checks import Finding, Report
from actors.cli.check import exit_status
from actors.cli.exits import MEANINGS, Commands, ExitStatus
from actors.configuration import Settings, variable
from actors.errors import SettingsError
from tests.unit.actors.conftest import Application


def test_the_help_names_every_environment_variable_with_its_default_and_meaning(application: Application) -> None:
    help_text = application.actors("--help").stdout
    for field, info in Settings.model_fields.items():
        assert variable(field) in help_text
        assert str(info.description) in help_text
    assert "ACTORS_PREFETCH=100" in help_text


def test_the_help_names_every_exit_status(application: Application) -> None:
    help_text = application.actors("--help").stdout
    for status in ExitStatus:
        assert f"  {status:d}  {MEANINGS[status]}\n" in help_text


@pytest.mark.parametrize("command", ["check", "queues", "send", "run", "relay", "settings", "idempotency"])
def test_every_command_has_a_help(application: Application, command: str) -> None:
    result = application.actors(command, "--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"Usage: actors {command}" in result.stdout


def test_the_version_is_the_distributions(application: Application) -> None:
    assert application.actors("--version").stdout.startswith(f"dramatiq-once {version('dramatiq-once')} ")


def test_a_misspelt_command_is_a_usage_error_with_a_suggestion(application: Application) -> None:
    result = application.actors("chek")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Did you mean 'check'?" in result.stderr


def test_a_misspelt_option_is_a_usage_error(application: Application) -> None:
    result = application.actors("check", "--conect")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--conect" in result.stderr


def test_python_m_actors_is_the_same_command() -> None:
    command = [sys.executable, "-m", "actors", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("dramatiq-once ")


@pytest.mark.parametrize(
    "command",
    [["queues"], ["send", "charge"], ["run", "charge"], ["relay"], ["settings"], ["idempotency", "list"]],
)
def test_an_unknown_setting_is_one_line_and_status_2(
    application: Application, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTORS_PREFECTH", "10")
    result = application.actors(*command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "Error: unknown setting ACTORS_PREFECTH, did you mean 'ACTORS_PREFETCH'?\n"


def test_a_module_that_fails_is_one_line_with_its_place_and_status_2(application: Application) -> None:
    application.write("shop_tasks", "import json\n\njson.loads('{')\n")
    result = application.actors("queues", "shop_tasks")
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: module 'shop_tasks' can't be imported: JSONDecodeError: ")
    assert line.endswith("shop_tasks.py:3)")


@pytest.mark.parametrize(
    ("error", "status"),
    [(ConnectionFailed("amqp://…: refused"), 3), (SettingsError("queue 'a' exists\nwith other arguments"), 2)],
)
def test_an_error_of_a_command_is_one_line(error: Exception, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer(cls=Commands, rich_markup_mode=None)

    @app.callback()
    def start() -> None: ...

    @app.command()
    def fail() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        app(["fail"])
    assert ended.value.code == status
    assert capsys.readouterr().err == f"Error: {' '.join(str(error).split())}\n"


def test_settings_shows_each_value_with_its_source_and_no_password(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTORS_QUEUE_ROUTES", '{"report_*": "slow"}')
    settings = {each["variable"]: each for each in application.json("settings")["settings"]}
    assert list(settings) == [variable(field) for field in Settings.model_fields]
    assert settings["ACTORS_BROKER_URL"]["value"] == ["amqp://shop:***@127.0.0.1:1/"]
    assert settings["ACTORS_BROKER_URL"]["source"] == "environment"
    assert settings["ACTORS_QUEUE_ROUTES"]["value"] == {"report_*": "slow"}
    assert settings["ACTORS_PREFETCH"] == {
        "variable": "ACTORS_PREFETCH",
        "value": 100,
        "source": "default",
        "default": 100,
        "meaning": Settings.model_fields["prefetch"].description,
    }
    assert "secret" not in application.actors("settings").output


@pytest.mark.parametrize(
    ("failed", "strict", "status"),
    [
        ([], False, 0),
        ([("consumers", "warning")], False, 0),
        ([("consumers", "warning")], True, 1),
        ([("redis-eviction", "error")], False, 1),
        ([("redis", "error"), ("redis-eviction", "error")], False, 3),
        ([("rabbitmq", "error")], False, 3),
        ([("rabbitmq", "error"), ("modules", "error")], False, 2),
        ([("settings", "error")], False, 2),
    ],
)
def test_the_exit_status_of_a_check_says_what_failed(failed: list[tuple[str, str]], strict: bool, status: int) -> None:
    findings = [Finding(check, "", state, "", "") for check, state in failed]  # type: ignore[arg-type]
    assert exit_status(Report({}, findings), strict=strict) == status


def test_what_a_module_prints_stays_out_of_the_json(application: Application) -> None:
    application.write("shop_tasks", "import actors\nprint('hello')\n@actors.actor\ndef charge() -> None: ...\n")
    result = application.actors("run", "charge", "-m", "shop_tasks", "--json")
    assert json.loads(result.stdout)["outcome"] == "done"
    assert "hello" in result.stderr
