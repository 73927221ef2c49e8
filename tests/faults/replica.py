"""A real scheduler, and what can befall it."""

import os
import re
import signal
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from tests.warm import warm

STOP_S = 20.0

_LINE = re.compile(r"^\[(?P<at>[^\]]+)\] \[periodic\.\w+\] \[\w+\] (?P<name>\S+): (?P<what>.*)$", re.MULTILINE)


class Replica:
    """A ``python -m periodic`` command.

    Args:
        command: what follows ``python``.
        env: added to this process's own environment.
        log_file: where it writes.
        folder: where it runs; None for here.
    """

    def __init__(
        self, command: list[str], env: Mapping[str, str], log_file: Path, *, folder: Path | None = None
    ) -> None:
        self._log_file = log_file
        self.is_frozen = False
        self._process = warm().start(*command, env={**os.environ, **env}, log=log_file, cwd=folder)

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    @property
    def is_standing_by(self) -> bool:
        """Whether the newest that it said is that it waits for the baton."""
        said = self._said()
        return self.runs and bool(said) and said[-1][1].startswith("connected")

    @property
    def led_at(self) -> datetime | None:
        """When it said last that it leads; None if it has not."""
        return next((at for at, what in reversed(self._said()) if what.startswith("leads")), None)

    @property
    def leads(self) -> bool:
        """Whether the newest that it said is that it leads; a frozen one can't say that it does no more."""
        said = self._said()
        return self.runs and bool(said) and said[-1][1].startswith("leads")

    def log(self) -> str:
        return self._log_file.read_text()

    def kill(self) -> None:
        if self.runs:
            self._process.kill_group()
            self._process.wait(STOP_S)

    def freeze(self) -> None:
        self.is_frozen = True
        os.killpg(self._process.pid, signal.SIGSTOP)
        self._process.wait_until_stopped()

    def thaw(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)
        self.is_frozen = False

    def stop(self) -> int:
        """SIGTERM, as a deployment does it; return the exit status."""
        self._process.terminate()
        return self._process.wait(STOP_S)

    def _said(self) -> list[tuple[datetime, str]]:
        found = [(line["at"], line["what"]) for line in _LINE.finditer(self.log())]
        return [(datetime.strptime(at, "%Y-%m-%d %H:%M:%S,%f").astimezone(), what) for at, what in found]
