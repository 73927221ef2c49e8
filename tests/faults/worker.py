"""A real ``dramatiq`` command, and what can befall it."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from services.deadline import until
from tests.warm import warm

START_S = 30.0
STOP_S = 20.0


class Worker:
    """A ``dramatiq`` command with one process of eight threads.

    Args:
        module: the actors' module.
        env: added to this process's own environment.
        log_file: where it writes.
    """

    def __init__(self, module: str, env: Mapping[str, str], log_file: Path) -> None:
        command = ("-m", "dramatiq", "actors", module, "-p", "1", "-t", "8")
        self._log_file = log_file
        self._process = warm().start(*command, env={**os.environ, **env}, log=log_file)

    @property
    def group(self) -> int:
        """The process group of the command and its processes."""
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        return "ready for action" in self.log()

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def wait_until_ready(self) -> None:
        until(lambda: self.is_ready, seconds=START_S, what="a worker")

    def log(self) -> str:
        return self._log_file.read_text()

    def kill(self) -> None:
        """SIGKILL the command and its processes, as the machine's death would; one that has ended stays so."""
        if self._process.poll() is None:
            self._process.kill_group()
            self._process.wait(STOP_S)

    def freeze(self) -> None:
        """SIGSTOP the command and its processes."""
        os.killpg(self.group, signal.SIGSTOP)
        self._process.wait_until_stopped()

    def thaw(self) -> None:
        os.killpg(self.group, signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM the command, as a deployment does."""
        self._process.terminate()

    def wait(self) -> None:
        """Wait until the command has ended."""
        self._process.wait(STOP_S)
