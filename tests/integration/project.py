"""An application of a test's own, its commands and workers as processes."""

import json
import os
import subprocess
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pika

from actors.brokers.admin import Admin
from actors.brokers.nodes import Nodes
from actors.brokers.topology import QueueType, Topology
from services.deadline import until
from tests.warm import warm

TASKS = """
    from pathlib import Path

    from actors import actor

    @actor
    def charge(order_id: int) -> int:
        with Path("ran").open("a") as ran:
            ran.write(f"{order_id}\\n")
        return order_id

    @actor
    def refund(order_id: int) -> None: ...

    @actor(queue_name="reports")
    def report(day: str) -> None: ...
"""


class Project:
    """A folder with the module ``shop_tasks``, and the environment of its processes.

    Attributes:
        folder: where they run; ``charge`` notes each order in its file ``ran``.
        env: their environment.
        prefix: of the names of their queues.
    """

    def __init__(self, folder: Path, *, broker_url: str, store_url: str, prefix: str) -> None:
        self.folder = folder
        self.prefix = prefix
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("ACTORS_")} | {
            "ACTORS_BROKER_URL": broker_url,
            "ACTORS_STORE_URL": store_url,
            "ACTORS_QUEUE_PREFIX": prefix,
            "ACTORS_MODULES": "shop_tasks",
        }
        self.write("shop_tasks", TASKS)

    def write(self, module: str, source: str) -> None:
        (self.folder / f"{module}.py").write_text(textwrap.dedent(source))

    def python(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run Python with *arguments* to its end."""
        return warm().run(*arguments, cwd=self.folder, env=self.env | env, timeout_s=60)

    def actors(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run ``actors`` to its end."""
        return self.python("-m", "actors", *arguments, **env)

    def json(self, *arguments: str, status: int = 0, **env: str) -> Any:
        """What the command prints with --json; it must end with *status*."""
        ended = self.actors(*arguments, "--json", **env)
        assert ended.returncode == status, ended.stdout + ended.stderr
        return json.loads(ended.stdout)

    def findings(self, check: str, *arguments: str, status: int = 0, **env: str) -> dict[str, dict[str, str]]:
        """What ``actors check --connect`` finds of one kind, by subject."""
        report = self.json("check", "--connect", *arguments, status=status, **env)
        return {each["subject"]: each for each in report["findings"] if each["check"] == check}

    def queues(self, **env: str) -> dict[str, Any]:
        """What ``actors queues`` shows, by logical queue."""
        return {each["queue"]: each for each in self.json("queues", status=0, **env)["queues"]}

    def ran(self) -> list[str]:
        """The orders that ``charge`` was run for."""
        file = self.folder / "ran"
        return file.read_text().split() if file.exists() else []

    @contextmanager
    def process(self, *arguments: str, **env: str) -> Iterator[Path]:
        """Run Python with *arguments* beside the block, end it with SIGTERM, and require status 0; gives its log."""
        with self._process(arguments, env, status=0) as log:
            yield log

    @contextmanager
    def doomed(self, *arguments: str, **env: str) -> Iterator[Path]:
        """Run what fails within the block, and require status 1; gives its log."""
        with self._process(arguments, env, status=1) as log:
            yield log

    @contextmanager
    def _process(self, arguments: Sequence[str], env: dict[str, str], *, status: int) -> Iterator[Path]:
        log = self.folder / f"{len(list(self.folder.glob('*.log')))}.log"
        process = warm().start(*arguments, env=self.env | env, log=log, cwd=self.folder)
        try:
            yield log
            process.terminate()
            assert process.wait(20) == status, log.read_text()
        finally:
            # Where the block has raised, its children are there too.
            process.kill_group()
            process.wait()

    @contextmanager
    def worker(self, **env: str) -> Iterator[Path]:
        """Run a worker that consumes all queues; gives its log."""
        with self.process("-m", "dramatiq", "actors", "--processes", "1", "--threads", "2", **env) as log:
            until(lambda: self.consumers(**env) == 2, seconds=30, what="the worker's consumers")
            yield log

    def consumers(self, **env: str) -> int:
        """How many consumers its queues have; asked without a command, as it is asked often."""
        env = self.env | env
        queue_type: QueueType = "classic" if env.get("ACTORS_QUEUE_TYPE") == "classic" else "quorum"
        topology = Topology(queue_type, env["ACTORS_QUEUE_PREFIX"])
        with Admin(Nodes([env["ACTORS_BROKER_URL"]]), timeout_s=20) as admin:
            depths = [admin.depth(topology.work(queue)) for queue in ("default", "reports")]
        return sum(depth.consumers for depth in depths if depth is not None)

    def delete_queues(self) -> None:
        with pika.BlockingConnection(pika.URLParameters(self.env["ACTORS_BROKER_URL"])) as connection:
            channel = connection.channel()
            for name in self._names():
                channel.queue_delete(name)

    def _names(self) -> Iterator[str]:
        for topology in (Topology("quorum", self.prefix), Topology("classic", self.prefix)):
            yield from (queue.name for queue in topology.holds().values())
            for queue in ("default", "reports"):
                yield from (topology.work(queue).name, topology.plain_delay(queue).name, topology.dead(queue).name)
