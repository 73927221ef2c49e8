"""An application of one machine: its commands, workers and schedulers are processes, and its jobs are in one file."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from services.deadline import until
from tests.integration.project import Project

TASKS = """
    import os
    import signal
    import time
    from datetime import timedelta
    from pathlib import Path

    from actors import actor, current
    from periodic import every

    def note(line):
        descriptor = os.open("ran", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{line}\\n".encode())
        os.close(descriptor)

    @actor
    def charge(order_id: int) -> int:
        note(f"charge {order_id}")
        return order_id

    @actor
    def hold(order_id: int) -> None:
        note(f"hold {order_id} {current().maybe_ran}")
        while not current().maybe_ran:
            time.sleep(0.02)

    @actor(periodic=every(timedelta(milliseconds=200), catch_up=3_600_000))
    def pulse() -> None:
        note(f"pulse {current().message.options['tick']['time']}")
"""


class Machine:
    """The application in *folder*; its file is ``jobs.db`` there, unless a test says otherwise."""

    def __init__(self, folder: Path) -> None:
        self.project = Project(folder, broker_url="sqlite:///jobs.db", store_url="", prefix="")
        self.folder = folder
        self.project.write("shop_tasks", TASKS)

    def python(self, code: str, **env: str) -> str:
        """What the code prints; it must end with status 0."""
        ended = self.project.python("-c", code, **env)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def periodic(self, *arguments: str, status: int = 0) -> Any:
        """What ``periodic`` prints with --json."""
        ended = self.project.python("-m", "periodic", *arguments, "--json")
        assert ended.returncode == status, ended.stdout + ended.stderr
        return json.loads(ended.stdout)

    def leader(self) -> dict[str, Any]:
        """What ``periodic status`` says of the scheduler that leads, once one does."""
        return until(lambda: self.standing()["leader"] or {}, seconds=30, what="a leader")

    def standing(self) -> dict[str, Any]:
        """What ``periodic status`` says."""
        found: dict[str, Any] = json.loads(self.project.python("-m", "periodic", "status", "--json").stdout)
        return found

    @contextmanager
    def worker(self, **env: str) -> Iterator[Path]:
        """Run a worker of one process with two threads; gives its log. Ended with SIGTERM, and status 0."""
        arguments = ("-m", "dramatiq", "actors", "--processes", "1", "--threads", "2")
        with self.project.process(*arguments, **env) as log:
            until(lambda: "ready for action" in log.read_text(), seconds=30, what="a worker")
            yield log

    @contextmanager
    def scheduler(self, **env: str) -> Iterator[Path]:
        """Run a scheduler that stands by, or leads; gives its log. Ended with SIGTERM, and status 0."""
        with self.project.process("-m", "periodic", **env) as log:
            until(lambda: "waiting for the lock" in log.read_text(), seconds=30, what="a scheduler")
            yield log

    def ran(self, what: str) -> Counter[str]:
        """How often each of the jobs that note *what* has run, by the rest of the line."""
        file = self.folder / "ran"
        lines = file.read_text().splitlines() if file.exists() else []
        return Counter(line.removeprefix(f"{what} ") for line in lines if line.startswith(f"{what} "))

    def left(self) -> int:
        """How many messages are in the file, be they ready, delayed or held."""
        with closing(sqlite3.connect(self.folder / "jobs.db")) as connection:
            count: int = connection.execute("SELECT count(*) FROM actors_message").fetchone()[0]
            return count
