"""What goes wrong turns the right probe red, and lets a real Prometheus fire the right alert."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
import yaml

import services
from services.deadline import until
from services.ports import free_port
from tests.integration.project import Project

RULES = Path(__file__).parents[3] / "deploy" / "prometheus" / "alerts.yaml"

TASKS = """
    import time
    from datetime import timedelta
    from pathlib import Path

    from apscheduler.triggers.interval import IntervalTrigger

    from actors import actor

    class Hanging(IntervalTrigger):
        def get_next_fire_time(self, previous, now):
            while Path(HANGS).exists():
                time.sleep(0.1)
            return super().get_next_fire_time(previous, now)

    import os
    HANGS = os.environ.get("HANGS", "nothing-hangs")

    @actor(queue_name="ticks", periodic=Hanging(seconds=1))
    def tick():
        pass

    @actor(max_retries=0)
    def broken():
        raise LookupError
"""


class Monitored:
    """An application with a Prometheus that asks it, as deploy/ and docs/metrics.md say.

    Attributes:
        addresses: where each process answers, by its name.
    """

    def __init__(self, project: Project) -> None:
        self.addresses = {
            name: f"127.0.0.1:{free_port()}" for name in ("worker", "scheduler", "hanging", "exporter", "prometheus")
        }
        self._project = project
        project.write("alarming", TASKS)
        project.env |= {"ACTORS_MODULES": "alarming", "ACTORS_RUNTIME_DIR": str(project.folder / "run")}

    @contextmanager
    def running(self, name: str, *command: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a process under *name*, in a group of its own that SIGKILL ends."""
        log = self._project.folder / f"{name}.log"
        with log.open("w") as stream:
            process = subprocess.Popen(
                command,
                cwd=self._project.folder,
                env={**self._project.env, "ACTORS_HEALTH_ADDRESS": self.addresses[name], **env},
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            kill(process)

    @contextmanager
    def prometheus(self) -> Iterator[None]:
        """Run a Prometheus with our alerts as they are."""
        jobs = {
            "actors-worker": ["worker"],
            "actors-scheduler": ["scheduler", "hanging"],
            "actors-exporter": ["exporter"],
        }
        config = {
            "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [self.addresses[name] for name in names]}]}
                for job, names in jobs.items()
            ],
        }
        path = self._project.folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        command = ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={self._project.folder / 'tsdb'}"]
        with self.running("prometheus", *command, f"--web.listen-address={self.addresses['prometheus']}"):
            yield

    def ask(self, name: str, path: str) -> tuple[int, str]:
        """What is answered; status 0 where nobody answers."""
        connection = HTTPConnection(self.addresses[name], timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, HTTPException):
            return 0, ""
        finally:
            connection.close()

    def probes(self, name: str) -> tuple[int, int]:
        """What ``/live`` and ``/ready`` of it answer."""
        return self.ask(name, "/live")[0], self.ask(name, "/ready")[0]

    def firing(self) -> set[tuple[str, str]]:
        """The alerts that fire, each with the address or the queue that it is about, if it says."""
        status, text = self.ask("prometheus", "/api/v1/alerts")
        found: list[dict[str, Any]] = json.loads(text)["data"]["alerts"] if status == 200 else []
        names = {address: name for name, address in self.addresses.items()}
        return {
            (
                each["labels"]["alertname"],
                names.get(each["labels"].get("instance", ""), each["labels"].get("queue", "")),
            )
            for each in found
            if each["state"] == "firing"
        }

    def are_up(self) -> bool:
        """Whether Prometheus has asked all, and they have answered."""
        status, text = self.ask("prometheus", "/api/v1/targets?state=active")
        found = json.loads(text)["data"]["activeTargets"] if status == 200 else []
        return len(found) == 4 and all(each["health"] == "up" for each in found)


def kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


# Where Prometheus is not at hand it is no test, and not one that passes; CONTRIBUTING.md says so.
if shutil.which("prometheus"):

    @pytest.mark.long  # alerts wait for minutes before they fire
    @pytest.mark.timeout(1_500)
    def test_each_fault_turns_the_right_probe_red_and_fires_the_right_alert(
        project: Project, private_rabbitmq: services.RabbitMQ
    ) -> None:
        # Given a worker, two schedulers and the exporter, all well
        project.env["ACTORS_BROKER_URL"] = private_rabbitmq.url
        site, dramatiq = Monitored(project), str(Path(sys.executable).with_name("dramatiq"))
        with ExitStack() as stack:
            worker = stack.enter_context(site.running("worker", dramatiq, "actors", "-p", "1", "-t", "2"))
            scheduler = (sys.executable, "-m", "periodic")
            stack.enter_context(site.running("scheduler", *scheduler))
            stack.enter_context(site.running("hanging", *scheduler, HANGS="hangs"))
            stack.enter_context(site.running("exporter", sys.executable, "-m", "actors", "exporter"))
            stack.enter_context(site.prometheus())
            everybody = ("worker", "scheduler", "hanging", "exporter")
            until(
                lambda: all(site.probes(name) == (200, 200) for name in everybody), seconds=60, what="probes all green"
            )
            until(site.are_up, seconds=30, what="answers to Prometheus")
            assert site.firing() == set()

            # A dead letter is told of at once
            ended = project.python("-c", "import alarming; alarming.broken.send()")
            assert ended.returncode == 0, ended.stderr
            expected = {("ActorsDeadLetterArrived", "default")}
            until(lambda: site.firing() == expected, seconds=60, what="the alert on a dead letter")

            # When the worker is killed, and the loop of one scheduler hangs
            kill(worker)
            (project.folder / "hangs").touch()
            expected = {
                ("ActorsInstanceDown", "worker"),
                ("ActorsScheduledQueueUnconsumed", "ticks"),
                ("ActorsQueueNotConsumed", "ticks"),
                ("ActorsSchedulerLoopStuck", "hanging"),
            }
            until(lambda: expected <= site.firing(), seconds=600, what="the alerts on a killed worker and a stuck loop")
            # Then nobody answers for the worker, one scheduler does not live, and the leader is not ready
            assert site.probes("worker") == (0, 0)
            assert site.probes("hanging")[0] == 503
            assert site.probes("scheduler") == (200, 503)
            assert "has had no consumer" in site.ask("scheduler", "/ready")[1]
            assert site.probes("exporter") == (200, 200)

            # When RabbitMQ is away, nothing is told of its queues, and nobody leads
            private_rabbitmq.stop()
            expected = {("ActorsExporterDown", ""), ("ActorsNoLeader", "")}
            until(lambda: expected <= site.firing(), seconds=300, what="the alerts on a RabbitMQ that is away")
            assert site.probes("scheduler") == (200, 503)
            assert site.probes("exporter") == (200, 503)
            assert not any(name == "ActorsQueueNotConsumed" for name, _ in site.firing())
            private_rabbitmq.start()
