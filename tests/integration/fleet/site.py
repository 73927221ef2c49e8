"""An application, its worker, and what the fleet keeps of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from actors.fleet import Fleet, Report
from actors.fleet.redis import RedisFleet
from actors.fleet.sqlite import SCHEMA, SqliteFleet
from middleware.stores.redis import RedisStore
from middleware.stores.sqlite import SqliteFile
from services.deadline import until
from tests.integration.project import Project

KEEP_MS = 6_000

TASKS = f"""
    import time
    from pathlib import Path

    from actors import actor, broker
    from actors.fleet.heartbeat import Heartbeat

    for each in broker.middleware:
        if isinstance(each, Heartbeat):
            each.beat_every_s, each.keep_ms = 0.3, {KEEP_MS}

    @actor
    def charge(order_id: int) -> None: ...

    @actor(max_retries=0)
    def refund(order_id: int) -> None:
        raise ValueError("no such order")

    @actor(queue_name="reports")
    def hold(name: str) -> None:
        while not Path(name).exists():
            time.sleep(0.02)
"""


class Site:
    """The application, on one broker and store.

    Attributes:
        fleet: what is kept of its processes.
    """

    def __init__(self, project: Project, fleet: Fleet, close: Callable[[], None]) -> None:
        project.write("shop_tasks", TASKS)
        self.project = project
        self.fleet = fleet
        self.close = close

    def send(self, code: str) -> list[str]:
        """Send what *code*, a list of messages in Python, says; return their ids."""
        program = f"from shop_tasks import *; from actors import enqueue_many; sent = enqueue_many({code})"
        ended = self.project.python("-c", f"{program}; print(*[each.message_id for each in sent])")
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.split()

    def reports(self) -> list[Report]:
        """What its workers tell of themselves."""
        return [Report.decode(kept.text) for kept in self.fleet.members()]

    def report(self, wanted: Callable[[Report], object], what: str) -> Report:
        """What the one worker tells once it is as *wanted*."""
        return until(lambda: [each for each in self.reports() if wanted(each)], seconds=20, what=what)[0]

    def status(self, *, status: int = 0, **env: str) -> Any:
        """What ``actors status`` shows; no module is named, as who looks may not have them."""
        return self.project.json("status", "--timeout", "5", status=status, ACTORS_MODULES="", **env)

    @contextmanager
    def running(self, *arguments: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
        """Run Python with *arguments* beside the block, and kill what is left of it; gives its output in a file."""
        out = self.project.folder / f"{len(list(self.project.folder.glob('*.out')))}.out"
        with out.open("w") as stdout, out.with_suffix(".err").open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.project.folder,
                env=self.project.env | env,
                stdout=stdout,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
        try:
            yield process, out
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @contextmanager
    def worker(self, **env: str) -> Iterator[tuple[subprocess.Popen[str], Report]]:
        """Run a worker of one process with two threads; gives what it tells first."""
        command = ("-m", "dramatiq", "actors", "--processes", "1", "--threads", "2")
        with self.running(*command, **env) as (process, _):
            told = self.report(lambda each: each.state == "consuming", "a worker that tells of itself")
            yield process, told

    @contextmanager
    def follower(self, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
        """Run ``actors events --follow --json``; the block begins once the worker has noticed it."""
        with self.running("-m", "actors", "events", "--follow", "--json", *arguments) as (process, out):
            notice = out.with_suffix(".err")
            until(lambda: "following 1 worker" in notice.read_text(), seconds=20, what="one who follows")
            yield process, out


def events(out: Path) -> list[dict[str, Any]]:
    """The events of attempts that were printed so far."""
    lines = [line for line in out.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [event for event in map(json.loads, lines) if event["event"] == "attempt"]


def on_servers(project: Project) -> Site:
    store = RedisStore(project.env["ACTORS_STORE_URL"], prefix=f"{project.prefix}actors:")
    return Site(project, RedisFleet(store), store.client.close)


def in_file(folder: Path) -> Site:
    project = Project(folder, broker_url="sqlite:///jobs.db", store_url="", prefix="")
    file = SqliteFile(folder / "jobs.db", schema=SCHEMA)
    return Site(project, SqliteFleet(file), file.close)
