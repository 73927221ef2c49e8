"""Pitfall 32: the monitor is a separate install, forgets on restart, and is open to all; but for the console."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import yaml

from services.deadline import until
from services.ports import free_port
from tests.integration.project import Project

ROOT = Path(__file__).parents[3]


def test_p32_what_is_counted_is_there_after_a_restart_and_after_a_kill(project: Project) -> None:
    address = f"127.0.0.1:{free_port()}"
    project.env |= {"ACTORS_HEALTH_ADDRESS": address, "ACTORS_RUNTIME_DIR": str(project.folder / "run")}
    seen = []
    for number, end in enumerate((signal.SIGTERM, signal.SIGKILL, signal.SIGTERM)):
        with worker(project, end):
            assert project.actors("send", "charge", "--args", f"[{number}]").returncode == 0
            until(lambda: done(address) == number + 1, seconds=30, what="a job that is counted")  # noqa: B023
            seen.append(done(address))
    assert seen == [1, 2, 3]


def test_p32_a_dashboard_and_alerts_are_in_the_box_and_no_port_is_open_unless_it_is_asked_for() -> None:
    deploy = ROOT / "deploy"
    assert json.loads((deploy / "grafana/dashboard.json").read_text())["panels"]
    assert yaml.safe_load((deploy / "prometheus/alerts.yaml").read_text())["groups"]
    # The numbers name actors and queues: their port is not published.
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert not published.keys() & {"worker", "scheduler"}
    command = "from actors.configuration import Settings; print(repr(Settings().health_address))"
    env = {name: value for name, value in os.environ.items() if not name.startswith("ACTORS_")}
    printed = subprocess.run([sys.executable, "-c", command], env=env, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "''"


def done(address: str) -> float:
    """How many attempts were done, as the worker tells it; 0 while it tells nothing."""
    connection = HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    except OSError:
        return 0.0
    finally:
        connection.close()
    lines = [line for line in text.splitlines() if line.startswith("actors_attempts_total") and '"done"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@contextmanager
def worker(project: Project, end: signal.Signals) -> Iterator[None]:
    """Run one, and let *end* be its end."""
    command = [sys.executable, "-m", "dramatiq", "actors", "-p", "1", "-t", "2"]
    with (project.folder / "worker.log").open("a") as log:
        process = subprocess.Popen(
            command, cwd=project.folder, env=project.env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
        os.killpg(process.pid, end)
        process.wait(30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
