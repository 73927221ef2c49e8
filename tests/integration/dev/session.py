"""``actors dev`` as a process of its own, in an application of the test's own, on a file."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from services.deadline import until
from tests.warm import warm

# In the environment of whatever it starts, and of whatever that starts.
MARKER = "DEV_SESSION"

# How long anything may take, on a machine that does much else.
PATIENCE_S = 60

TASKS = """
    import time
    from pathlib import Path

    from actors import actor
    from periodic import every

    def note(what: str) -> None:
        with Path("notes").open("a") as notes:
            notes.write(f"{what}\\n")

    @actor
    def greet(name: str) -> None:
        print(f"hello {name}")
        note(f"old {name}")

    @actor
    def block() -> None:
        note("blocked")
        while not Path("go").exists():
            time.sleep(0.05)
        note("went")

    @actor(queue_name="reports", periodic=every(seconds=1))
    def count() -> None:
        note("tick")
"""


class Session:
    """An application in *folder*, and the ``actors dev`` that runs it, once started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("ACTORS_")}
        self.env |= {MARKER: str(folder)}
        self._log = folder / "dev.jsonl"
        self.write(TASKS)

    def write(self, source: str, module: str = "shop_tasks") -> None:
        (self.folder / f"{module}.py").write_text(textwrap.dedent(source))

    def command(self, *options: str) -> list[str]:
        return [sys.executable, "-m", "actors", "dev", "shop_tasks", "--threads", "2", *options]

    @contextmanager
    def running(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run ``actors dev --json`` for the block; whatever is left of it then is killed."""
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                self.command("--json", *options), cwd=self.folder, env=self.env, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            self.sweep()

    def sweep(self) -> None:
        for pid in self.processes():
            with suppress(ProcessLookupError):  # it may have just ended by itself
                os.kill(pid, signal.SIGKILL)

    def records(self, event: str = "") -> list[dict[str, Any]]:
        """What it has written, as far as it is of *event*."""
        lines = self._log.read_text().split("\n")[:-1]
        return [record for record in map(json.loads, lines) if event in ("", record["event"])]

    def states(self, process: str) -> list[str]:
        return [each["state"] for each in self.records("state") if each["process"] == process]

    def state(self, process: str) -> str:
        return (self.states(process) or [""])[-1]

    def texts(self) -> str:
        return "\n".join(each["text"] for each in self.records("line"))

    def notes(self) -> list[str]:
        file = self.folder / "notes"
        return file.read_text().splitlines() if file.exists() else []

    def send(self, actor: str, *args: str) -> None:
        command = ("-m", "actors", "send", "-m", "shop_tasks", actor, "--args", json.dumps(args))
        ended = warm().run(*command, cwd=self.folder, env=self.env, timeout_s=PATIENCE_S)
        assert ended.returncode == 0, ended.stderr

    def until_state(self, process: str, state: str) -> None:
        until(lambda: self.state(process) == state, seconds=PATIENCE_S, what=f"{process} is {state}")

    def until_noted(self, what: str) -> None:
        until(lambda: what in self.notes(), seconds=PATIENCE_S, what=f"the note {what!r}")

    def processes(self) -> list[int]:
        """The processes that have this session in their environment."""
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                if f"{MARKER}={self.folder}\0".encode() in environ.read_bytes():
                    found.append(int(environ.parent.name))
            except OSError:  # ended meanwhile, or another user's
                continue
        return found

    def until_nothing_runs(self) -> None:
        until(lambda: not self.processes(), seconds=PATIENCE_S, what="the end of every process")
