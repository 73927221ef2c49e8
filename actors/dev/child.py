"""A worker or a scheduler as a child process, and what it writes, line by line."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from actors.dev import keeper
from actors.dev.telling import heard

# How soon it is noticed that a keeper has died without a word.
LOOK_EVERY_S = 0.5

Record = dict[str, Any]


class Child:
    """Runs *command* in a session of its own: a Ctrl-C in the terminal does not reach it.

    It ends with this process, however that ends.

    Args:
        name: what it is called in records.
        command: what to run.
        env: its environment.
        grace_s: how long it may take to end in order, in seconds.
        report: called, from a thread, with a record of each line that it writes and of each event that it tells; the
            last is ``exit``, with its ``status``.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        grace_s: float,
        report: Callable[[Record], None],
    ) -> None:
        self._name = name
        self._report = report
        self._status: int | None = None
        self._why = ""
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", str(Path(keeper.__file__)), str(grace_s), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
        )
        threading.Thread(target=self._follow, daemon=True).start()

    def stop(self) -> None:
        """Let it end in order, and have it killed if that takes longer than its grace."""
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.close()

    def kill(self) -> None:
        """Kill it, and all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _follow(self) -> None:
        with self._process:
            self._read()
            died = self._process.wait()
        if self._status is None:
            # The keeper was killed itself; whatever it kept would go on.
            self.kill()
        self._tell({"event": "exit", "status": died if self._status is None else self._status, "why": self._why})

    def _read(self) -> None:
        begun = ""
        for line in self._lines():
            text, told = heard(line.decode(errors="replace"))
            begun += text
            if told is None:
                # What is told in the middle of a line does not end it.
                self._write(begun)
                begun = ""
            elif told["event"] == "exit":
                self._status, self._why = told["status"], told["why"]
            else:
                self._tell(told)
        self._write(begun)

    def _lines(self) -> Iterator[bytes]:
        """Yield lines until nobody can write any more, or the keeper has ended and all is read that it has left."""
        assert self._process.stdout is not None  # noqa: S101
        pipe, rest = self._process.stdout.fileno(), b""
        while True:
            is_over = self._process.poll() is not None
            readable, _, _ = select.select([pipe], [], [], 0 if is_over else LOOK_EVERY_S)
            chunk = os.read(pipe, 65_536) if readable else b""
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
            if (readable and not chunk) or (is_over and not readable):
                break
        if rest:
            yield rest

    def _write(self, text: str) -> None:
        if text.strip():
            self._tell({"event": "line", "text": text.rstrip()})

    def _tell(self, record: Record) -> None:
        self._report({**record, "process": self._name})
