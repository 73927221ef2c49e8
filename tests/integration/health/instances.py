"""Workers that answer probes, and what they say."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from actors.health.heartbeat import FOLDER
from actors.instance import instance_dir
from services.deadline import until
from services.ports import free_port
from tests.integration.project import Project
from tests.unit.actors.health.asking import ask

# How long these may say nothing, in seconds: as short as may be set.
STUCK_AFTER_S = 5
COMMAND = ("-m", "dramatiq", "actors", "--threads", "2", "--processes")


class Instance:
    """What answers at one address: the processes of a command, or of several.

    Attributes:
        project: the application.
        env: the environment of its processes, beside that of the project.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.port = free_port()
        self._runtime_dir = project.folder / "run"
        self.env = {
            "ACTORS_HEALTH_ADDRESS": f"127.0.0.1:{self.port}",
            "ACTORS_RUNTIME_DIR": str(self._runtime_dir),
            "ACTORS_STUCK_AFTER_S": str(STUCK_AFTER_S),
            "ACTORS_PUBLISH_TIMEOUT_MS": "1000",
        }

    @contextmanager
    def worker(self, **env: str) -> Iterator[Path]:
        """Run a worker of one process, which is ready when the block begins; gives its log."""
        with self.project.process(*COMMAND, "1", **self.env, **env) as log:
            self.wait()
            yield log

    @contextmanager
    def worker_of_two(self, **env: str) -> Iterator[Path]:
        """Run one of two processes."""
        with self.project.process(*COMMAND, "2", **self.env, **env) as log:
            self.wait()
            yield log

    @contextmanager
    def doomed(self, **env: str) -> Iterator[Path]:
        """Run one of one process, which is killed within the block."""
        with self.project.doomed(*COMMAND, "1", **self.env, **env) as log:
            self.wait()
            yield log

    def wait(self) -> None:
        """Return when it is ready."""
        until(lambda: self.status("/ready") == 200, seconds=30, what="a worker that is ready")

    def status(self, path: str) -> int:
        """The status of the answer; 0 where none comes."""
        return ask(self.port, path)[0]

    def failed(self, path: str) -> dict[str, str]:
        """The checks that fail there, with the reason of each."""
        text = ask(self.port, path)[1]
        checks: list[dict[str, Any]] = json.loads(text)["checks"] if text else []
        return {each["name"]: each["reason"] for each in checks if not each["ok"]}

    def says(self, name: str, text: str) -> bool:
        """Whether it is not ready because of the check *name*, with *text* in the reason."""
        return text in self.failed("/ready").get(name, "")

    def pids(self) -> set[int]:
        """The processes that tell of themselves."""
        place = instance_dir(self._runtime_dir, self.env["ACTORS_HEALTH_ADDRESS"])
        return {int(path.stem) for path in (place / FOLDER).glob("*.json")}

    def serving(self) -> int:
        """The process that answers."""
        inodes = {line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if self._listens(line)}
        for pid in self.pids():
            links = [link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir()]
            if any(f"socket:[{inode}]" in links for inode in inodes):
                return pid
        raise LookupError(f"nobody listens on {self.port}")

    def _listens(self, line: str) -> bool:
        _, local, _, state, *_ = line.split()
        return local.endswith(f":{self.port:04X}") and state == "0A"


@contextmanager
def service_manager(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Listen as systemd does; gives the value of NOTIFY_SOCKET, and the words that have come."""
    words: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        address = str(folder / "notify")
        listening.bind(address)

        def listen() -> None:
            while datagram := listening.recv(10_000):
                words.extend(datagram.decode().split("\n"))

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield address, words
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
                end.sendto(b"", address)
            thread.join()
