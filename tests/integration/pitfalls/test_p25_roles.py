"""Pitfall 25: worker and scheduler in one container, behind a probe that lies, or that imports the application."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from actors.health.address import split
from tests.integration.health.instances import Instance
from tests.integration.shops import EmbeddedShop

COMPOSE: dict[str, Any] = yaml.safe_load((Path(__file__).parents[3] / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}


def test_p25_each_role_is_a_service_with_a_command_limits_and_a_probe_of_its_own() -> None:
    assert {"worker", "scheduler"} <= set(OURS)
    assert len({str(service["command"]) for service in OURS.values()}) == len(OURS)
    assert all(set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"} for service in OURS.values())
    for service in OURS.values():
        kind, *command, place = service["healthcheck"]["test"]
        assert (kind, command) == ("CMD", ["python", "-Im", "actors_probe"])
        _, port = split(service["environment"]["ACTORS_HEALTH_ADDRESS"])
        assert place == f":{port}/ready"


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(EmbeddedShop(tmp_path))


def test_p25_the_probe_of_the_worker_tells_the_truth_and_imports_nothing_of_it(instance: Instance) -> None:
    def probe() -> subprocess.CompletedProcess[str]:
        _, _, *arguments, place = SERVICES["worker"]["healthcheck"]["test"]
        place = re.sub(r":\d+", f":{instance.port}", place)
        command = [sys.executable, "-X", "importtime", *arguments, place]
        return subprocess.run(command, cwd=instance.project.folder, capture_output=True, text=True, timeout=30)

    assert probe().returncode == 1
    with instance.worker():
        well = probe()
        assert (well.returncode, '"ok": true' in well.stdout) == (0, True)
        imported = set(re.findall(r"\| +(\w+)", well.stderr))
        assert "http" in imported
        assert imported.isdisjoint({"actors", "middleware", "periodic", "dramatiq", "pika", "redis", "shop_tasks"})
    assert probe().returncode == 1
