"""A scheduler that answers probes, and what they say."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import yaml

from services.deadline import until
from tests.integration.project import Project

COMPOSE = yaml.safe_load((Path(__file__).parents[3] / "compose.yaml").read_text())


class Probed:
    """A scheduler that runs.

    Attributes:
        log: returns what it has written; that says where it answers.
    """

    def __init__(self, log: Callable[[], str]) -> None:
        self.log = log
        until(lambda: self._where() is not None, seconds=30, what="a word on probes")
        found = self._where()
        assert found is not None
        self._port = int(found[1])

    def ask(self, path: str = "/ready") -> tuple[int, dict[str, Any]]:
        """The status of the answer, and what it says."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, json.loads(body)

    @property
    def is_ready(self) -> bool:
        return self.ask()[0] == 200

    def problem(self, name: str) -> str:
        """The reason and the advice of the check *name* where it fails; else empty."""
        failed = [check for check in self.ask()[1]["checks"] if check["name"] == name and not check["ok"]]
        return "".join(f"{check['reason']}; {check['advice']}" for check in failed)

    def probe(self) -> subprocess.CompletedProcess[str]:
        """Run what a container runs, as compose.yaml has it."""
        executable, *arguments, place = COMPOSE["x-app"]["healthcheck"]["test"][1:]
        assert executable == "python"
        place = place.replace(":8081/", f":{self._port}/")
        return subprocess.run([sys.executable, *arguments, place], capture_output=True, text=True, timeout=30)

    def _where(self) -> re.Match[str] | None:
        return re.search(r"probes are answered on 127\.0\.0\.1:(\d+)", self.log())


@contextmanager
def probed(project: Project, **env: str) -> Iterator[Probed]:
    """Run a scheduler with short limits, that answers probes."""
    module = "tests.integration.periodic.impatient"
    with project.process("-m", module, **{"ACTORS_HEALTH_ADDRESS": "127.0.0.1:0", **env}) as log:
        yield Probed(log.read_text)
