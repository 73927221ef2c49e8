"""An application with schedules, whose schedulers, workers and commands are processes."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pika

from actors.brokers.admin import Admin
from actors.brokers.nodes import Nodes
from actors.brokers.topology import Topology
from actors.operating.tick_records import TickRecords
from middleware import TickRun
from periodic.pace import Pace
from periodic.tick import Tick
from services.deadline import until
from tests.integration.project import Project

TASKS = """
    from datetime import UTC, datetime
    from pathlib import Path

    from actors import actor
    from middleware import current
    from periodic import cron, every

    def note(line):
        with Path("ran").open("a") as ran:
            ran.write(f"{line}\\n")

    @actor(periodic=every(seconds=1))
    def pulse() -> int:
        tick = current().message.options["tick"]
        note(f"pulse {tick['time']}")
        return 7

    @actor(periodic=cron("0 9 * * *", timezone="Asia/Shanghai"))
    def send_daily_report(kind: str = "short") -> str:
        note(f"report {kind}")
        return kind

    @actor
    def charge(order_id: int) -> int:
        note(f"charge {order_id}")
        return order_id
"""


class Shop:
    """The application, and what its processes say.

    Attributes:
        project: where they run.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        project.write("shop_tasks", TASKS)

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run ``periodic`` to its end."""
        return self.project.python("-m", "periodic", *arguments, **env)

    def says(self, *arguments: str, status: int = 0, **env: str) -> str:
        """What the command prints; it must end with *status*."""
        ended = self.run(*arguments, **env)
        assert ended.returncode == status, ended.stdout + ended.stderr
        return ended.stdout if status == 0 else ended.stderr

    def json(self, *arguments: str, status: int = 0, **env: str) -> Any:
        ended = self.run(*arguments, "--json", **env)
        assert ended.returncode == status, ended.stdout + ended.stderr
        return json.loads(ended.stdout)

    def row(self, name: str) -> dict[str, Any]:
        """What ``list`` shows of one schedule."""
        [row] = [row for row in self.json("list")["schedules"] if row["schedule"] == name]
        return dict(row)

    def outcomes(self, name: str) -> dict[str, str]:
        """The outcome of each tick of a schedule, as ``history`` shows it."""
        return {event["tick"]: event["outcome"] for event in self.json("history", name, "--limit", "1000")["events"]}

    def runs(self, *names: str) -> list[TickRun]:
        """What workers have recorded of schedules, in less time than a command takes to start."""
        with Admin(Nodes([self.project.env["ACTORS_BROKER_URL"]]), timeout_s=20) as admin:
            return TickRecords(admin, Topology("quorum", self.project.prefix)).runs(set(names))

    @contextmanager
    def scheduler(self, **env: str) -> Iterator[Path]:
        """Run a replica that says that it is connected; gives its log."""
        with self.project.process("-m", "periodic", **env) as log:
            until(lambda: "waiting for the baton" in log.read_text(), seconds=30, what="a scheduler")
            yield log

    @contextmanager
    def leading(self, **env: str) -> Iterator[Path]:
        """Run a replica that leads."""
        with self.scheduler(**env) as log:
            until(lambda: "leads from" in log.read_text(), seconds=30, what="a leader")
            yield log

    @contextmanager
    def frozen(self, log: Path) -> Iterator[None]:
        """Keep the replica with this log from running for the block; for some seconds RabbitMQ takes it for alive."""
        named = re.search(r"\[INFO\] \S+:(\d+): connected", log.read_text())
        assert named is not None, log.read_text()
        os.kill(int(named[1]), signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(int(named[1]), signal.SIGCONT)

    @contextmanager
    def worker(self, *, beside: int = 0) -> Iterator[Path]:
        """Run a worker, *beside* so many others; gives its log."""
        with self.project.process("-m", "dramatiq", "actors", "--processes", "1", "--threads", "2") as log:
            with self._looking(self._queue) as look:
                until(lambda: look().consumer_count == beside + 1, seconds=30, what="the worker's consumer")
            yield log

    @contextmanager
    def open(self) -> Iterator[None]:
        """Run a leader and a worker."""
        with ExitStack() as stack:
            stack.enter_context(self.leading())
            stack.enter_context(self.worker())
            yield

    def waiting(self) -> int:
        """How many messages are ready in the work queue."""
        with self._looking(self._queue) as look:
            return int(look().message_count)

    def enqueued(self) -> list[Tick]:
        """The ticks whose messages are in the work queue, in order, taken from there; no worker runs."""
        found = []
        with self._connected() as connection:
            channel = connection.channel()
            while (body := channel.basic_get(self._queue, auto_ack=True)[2]) is not None:
                tick = json.loads(body)["options"]["tick"]
                time = datetime.fromisoformat(tick["time"])
                found.append(Tick(tick["schedule"], time, time))
        return found

    def wait_for_ticks(self, count: int) -> None:
        """Wait until so many more ticks are enqueued; no worker runs."""
        with self._looking(self._queue) as look:
            enough = look().message_count + count
            until(lambda: look().message_count >= enough, seconds=20, what=f"{count} ticks")

    def wait_for_records(self, count: int) -> None:
        """Wait until there are records of so many runs of schedules that tick by the second."""
        with self._looking(self._topology.runs(Pace.SECONDS).name) as look:
            until(lambda: look().message_count >= count, seconds=60, what=f"{count} records")

    def ran(self, what: str) -> list[str]:
        """What jobs have noted that begins with *what*."""
        file = self.project.folder / "ran"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line.removeprefix(f"{what} ") for line in lines if line.startswith(f"{what} ")]

    def queues(self) -> list[str]:
        queues = self._topology.periodic()
        return [
            *(getattr(queues, each.name).name for each in fields(queues)),
            *(self._topology.runs(pace).name for pace in Pace),
        ]

    def close(self) -> None:
        with self._connected() as connection:
            for name in self.queues():
                connection.channel().queue_delete(name)

    @property
    def _queue(self) -> str:
        return self._topology.work("default").name

    @property
    def _topology(self) -> Topology:
        return Topology("quorum", self.project.prefix)

    @contextmanager
    def _looking(self, queue: str) -> Iterator[Callable[[], Any]]:
        """Give what returns what RabbitMQ says of *queue*; one connection is enough for many looks."""
        nothing = pika.spec.Queue.DeclareOk(queue, message_count=0, consumer_count=0)
        with self._connected() as connection:

            def look() -> Any:
                channel = connection.channel()
                try:
                    said = channel.queue_declare(queue, passive=True).method
                except pika.exceptions.ChannelClosedByBroker:
                    return nothing
                channel.close()
                return said

            yield look

    def _connected(self) -> Any:
        return pika.BlockingConnection(pika.URLParameters(self.project.env["ACTORS_BROKER_URL"]))


def now() -> datetime:
    return datetime.now(UTC)
