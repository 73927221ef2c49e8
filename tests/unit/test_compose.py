"""compose.yaml, which no engine reads here: it says what its services need, and names nothing that is not there."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from dramatiq.cli import make_argument_parser

from actors.configuration import PREFIX, read
from services.docker_engine import RABBITMQ_IMAGE, REDIS_IMAGE

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}


def test_it_has_one_service_a_role() -> None:
    assert set(SERVICES) == {"rabbitmq", "redis", "worker", "scheduler"}
    assert len({str(service.get("command")) for service in OURS.values()}) == len(OURS)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_probed_limited_and_ended_with_grace(name: str) -> None:
    service = SERVICES[name]
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert service["init"] is True
    assert service["restart"] == "unless-stopped"
    assert seconds(service["stop_grace_period"]) > 0


@pytest.mark.parametrize(("name", "image"), [("rabbitmq", RABBITMQ_IMAGE), ("redis", REDIS_IMAGE)])
def test_servers_are_those_of_the_tests_and_of_the_readme(name: str, image: str) -> None:
    assert SERVICES[name]["image"] == image
    version = image.rpartition(":")[2]
    product = {"rabbitmq": "RabbitMQ", "redis": "Redis"}[name]
    assert f"{product} {version}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ["rabbitmq", "redis"])
def test_servers_keep_their_data_and_are_open_to_this_machine_alone(name: str) -> None:
    volume, _, folder = SERVICES[name]["volumes"][0].partition(":")
    assert volume in COMPOSE["volumes"]
    assert folder == {"rabbitmq": "/var/lib/rabbitmq", "redis": "/data"}[name]
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


@pytest.mark.parametrize("name", OURS)
def test_every_setting_is_known_and_well_formed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {variable: str(value) for variable, value in environment(name).items() if variable.startswith(PREFIX)}
    assert given
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    settings = read({})
    assert {urlsplit(url).hostname for url in (*settings.broker_url, settings.store_url)} == {"rabbitmq", "redis"}


def test_the_worker_has_less_time_to_stop_than_its_grace() -> None:
    executable, *arguments = SERVICES["worker"]["command"]
    assert shutil.which(executable, path=Path(sys.executable).parent)
    parsed = make_argument_parser().parse_args(arguments)
    assert parsed.worker_shutdown_timeout / 1000 < seconds(SERVICES["worker"]["stop_grace_period"])
    modules = [parsed.broker, *parsed.modules, environment("worker")["ACTORS_MODULES"]]
    assert all(importlib.util.find_spec(module) for module in modules)


def test_the_scheduler_has_something_to_schedule() -> None:
    assert SERVICES["scheduler"]["command"] == ["python", "-m", "periodic"]
    module = environment("scheduler")["ACTORS_MODULES"]
    listed = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import actors, {module}; from periodic import schedules; print(*schedules(actors.broker))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.split() == ["close_the_day"]


def environment(name: str) -> dict[str, str]:
    """The environment of a service, with the defaults of ``${NAME:-default}``."""
    given: dict[str, str] = SERVICES[name]["environment"]
    return {variable: re.sub(r"\$\{\w+:-(.*?)}", r"\1", value) for variable, value in given.items()}


def seconds(duration: str) -> float:
    assert duration.endswith("s")
    return float(duration.removesuffix("s"))
