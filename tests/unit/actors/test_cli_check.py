"""`actors check` without a connection."""

from typing import Any

import pytest

from actors.checks.versions import is_older
from tests.unit.actors.conftest import Application

TASKS = """
    from actors import actor

    @actor
    def charge(order_id: int) -> None: ...

    @actor(queue_name="reports")
    async def report_sales(day: str) -> None: ...
"""


def findings(report: Any, check: str) -> dict[str, dict[str, str]]:
    return {each["subject"]: each for each in report["findings"] if each["check"] == check}


def test_all_is_well_with_a_module_of_actors(application: Application) -> None:
    application.write("shop_tasks", TASKS)
    report = application.json("check", "shop_tasks")
    assert report["status"] == "ok"
    assert findings(report, "modules")["shop_tasks"]["what"] == "declares charge, report_sales"
    assert findings(report, "actors")["report_sales"] == {
        "check": "actors",
        "subject": "report_sales",
        "status": "ok",
        "what": "shop_tasks.report_sales on queue 'reports'",
        "advice": "",
    }


@pytest.mark.parametrize("arguments", [["shop_tasks"], ["-m", "shop_tasks"], []])
def test_modules_are_arguments_or_options_or_a_setting(
    application: Application, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    application.write("shop_tasks", TASKS)
    monkeypatch.setenv("ACTORS_MODULES", "shop_tasks" if not arguments else "nothing_here")
    assert findings(application.json("check", *arguments), "modules").keys() == {"shop_tasks"}


def test_every_setting_is_shown_with_its_source_and_no_password(application: Application) -> None:
    application.write(
        "shop_tasks",
        "import actors\nactors.configure(store_url='redis://:secret@127.0.0.1:2/0')\n@actors.actor\ndef job(): ...",
    )
    settings = findings(application.json("check", "shop_tasks"), "settings")
    assert settings["ACTORS_BROKER_URL"]["what"] == "amqp://shop:***@127.0.0.1:1/ (environment)"
    assert settings["ACTORS_STORE_URL"]["what"] == "redis://:***@127.0.0.1:2/0 (code)"
    assert settings["ACTORS_PREFETCH"]["what"] == "100 (default)"


def test_the_identity_has_no_password(application: Application) -> None:
    assert application.json("check")["identity"]["broker"] == "amqp://shop:***@127.0.0.1:1/"
    assert "secret" not in application.actors("check").output


def test_without_modules_it_says_that_no_actors_are_looked_at(application: Application) -> None:
    report = application.json("check")
    assert report["status"] == "warning"
    assert "ACTORS_MODULES" in findings(report, "modules")[""]["advice"]


def test_an_unknown_setting_is_a_finding(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORS_PREFECTH", "10")
    report = application.json("check", status=2)
    assert (report["status"], report["identity"]) == ("error", None)
    assert "did you mean 'ACTORS_PREFETCH'?" in report["findings"][0]["what"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ACTORS_BROKER_URL", "amqp://127.0.0.1/?heartbeat=often"),
        ("ACTORS_BROKER_CA_FILE", "nowhere.pem"),
        ("ACTORS_STORE_URL", "redis://127.0.0.1/0?socket_timeout=long"),
    ],
)
def test_a_setting_that_could_never_connect_is_found_without_connecting(
    application: Application, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable == "ACTORS_BROKER_CA_FILE":
        monkeypatch.setenv("ACTORS_BROKER_URL", "amqps://127.0.0.1/")
    monkeypatch.setenv(variable, value)
    report = application.json("check", status=2)
    [error] = [each for each in report["findings"] if each["status"] == "error"]
    assert error["check"] == "settings"


def test_a_module_that_fails_is_found_with_its_place_and_the_others_are_looked_at(application: Application) -> None:
    application.write("shop_tasks", TASKS)
    application.write("broken", "import actors\n\n@actors.actor(queue='slow')\ndef job() -> None: ...\n")
    modules = findings(application.json("check", "broken", "missing", "shop_tasks", status=2), "modules")
    assert modules["broken"]["what"].endswith("actor 'job': unknown option 'queue', did you mean 'queue_name'?")
    assert modules["broken"]["advice"].endswith("broken.py:3")
    assert "No module named 'missing'" in modules["missing"]["what"]
    assert modules["shop_tasks"]["status"] == "ok"


def test_a_module_without_actors_is_a_warning(application: Application) -> None:
    application.write("shop_models", "")
    assert findings(application.json("check", "shop_models"), "modules")["shop_models"]["status"] == "warning"


def test_a_hint_that_can_not_be_resolved_is_found(application: Application) -> None:
    application.write("shop_tasks", "import actors\n@actors.actor\ndef charge(order: 'Order') -> None: ...\n")
    error = findings(application.json("check", "shop_tasks", status=1), "actors")["charge"]
    assert error["status"] == "error"
    assert "parameter 'order'" in error["what"]


def test_an_option_that_names_no_actor_is_found(application: Application) -> None:
    application.write("shop_tasks", f"{TASKS}\n    @actor(on_failure='report_sale')\n    def job() -> None: ...\n")
    error = findings(application.json("check", "shop_tasks", status=1), "actors")["job"]
    assert error["what"] == "on_failure='report_sale' is no loaded actor, did you mean 'report_sales'?"


def test_a_time_limit_beyond_the_consumer_timeout_is_a_warning(application: Application) -> None:
    application.write("shop_tasks", f"{TASKS}\n    @actor(time_limit=1_800_001)\n    def job() -> None: ...\n")
    assert "consumer_timeout" in findings(application.json("check", "shop_tasks"), "actors")["job"]["what"]


def test_an_actor_of_plain_dramatiq_is_looked_at_too(application: Application) -> None:
    application.write("shop_tasks", "import actors, dramatiq\n@dramatiq.actor\ndef charge(order_id): ...\n")
    assert findings(application.json("check", "shop_tasks"), "actors")["charge"]["status"] == "ok"


def test_a_route_that_matches_nothing_is_a_warning(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    application.write("shop_tasks", TASKS)
    monkeypatch.setenv("ACTORS_QUEUE_ROUTES", '{"report_*": "slow", "chrage": "money"}')
    report = application.json("check", "shop_tasks")
    routes = findings(report, "routes")
    assert routes["report_*"]["what"] == "to queue 'slow': report_sales"
    assert routes["chrage"]["what"] == "matches no loaded actor, did you mean 'charge'?"
    assert application.actors("check", "shop_tasks", "--strict").exit_code == 1


def test_the_table_has_the_same_findings(application: Application) -> None:
    application.write("shop_tasks", TASKS)
    lines = application.actors("check", "shop_tasks").stdout.splitlines()
    assert any(line.split() == ["ok", "modules", "shop_tasks", "declares", "charge,", "report_sales"] for line in lines)
    count = len(application.json("check", "shop_tasks")["findings"])
    assert lines[-1] == f"0 errors, 0 warnings, {count} ok"


@pytest.mark.parametrize(
    ("version", "older"),
    [("3.9.29", True), ("3.10.8", False), ("3.13.7+1", False), ("4.1.0-rc.1", False), ("4.3", False), ("", True)],
)
def test_versions_are_compared_by_their_numbers(version: str, older: bool) -> None:
    assert is_older(version, (3, 10)) is older
