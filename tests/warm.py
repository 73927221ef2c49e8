"""Processes that need not import everything first: each is a fork of one that has.

A command, a worker or a scheduler takes half a second of CPU to import what it uses, and the tests start many hundreds.
What a fork finds imported is the library alone, which reads nothing of its environment while it is imported; the
application is never among it.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

PRELOADED = ("actors.cli", "actors.cli.periodic", "actors.checks.redis", "dramatiq.cli", "middleware.stores.redis")
PAUSE_S = 0.01

Completed = subprocess.CompletedProcess[str]


class Forked:
    """A process that was started, in a session of its own; what it has of :class:`subprocess.Popen` is the same."""

    def __init__(self, warm: "Warm", arguments: tuple[str, ...], pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._warm = warm
        self._arguments = arguments
        self._looking = threading.Lock()

    def poll(self) -> int | None:
        self._look(os.WNOHANG)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self._arguments, timeout or 0)
            time.sleep(PAUSE_S)
        return status

    def wait_until_stopped(self) -> None:
        """Wait until SIGSTOP holds it, or it has ended."""
        self._look(os.WUNTRACED)

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def kill_group(self) -> None:
        """SIGKILL it and what it has started, as the machine's death would; those that outlive it, too."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _look(self, options: int) -> None:
        with self._looking:
            if self.returncode is not None:
                return
            ended, status = self._warm.ask({"wait": self.pid, "options": options})
            if ended and not os.WIFSTOPPED(status):
                self.returncode = os.waitstatus_to_exitcode(status)


class Warm:
    """The process that forks; it ends with this one."""

    def __init__(self) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("ACTORS_")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.warm import serve; serve()"],
            cwd=Path(__file__).parents[1],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()
        atexit.register(self._process.communicate)

    def start(self, *arguments: str, env: Mapping[str, str], log: Path, cwd: Path | None = None) -> Forked:
        """Start ``python ARGUMENTS``, which begin with ``-m``, ``-c`` or a file, and return at once.

        Args:
            arguments: what follows ``python``.
            env: its whole environment.
            log: where it appends what it writes.
            cwd: where it runs; None for here.
        """
        log.touch()
        return self._start(arguments, cwd or Path.cwd(), env, log, log)

    def run(self, *arguments: str, cwd: Path, env: Mapping[str, str], timeout_s: float) -> Completed:
        """Run such a process to its end.

        Raises:
            subprocess.TimeoutExpired: it took longer than *timeout_s* seconds, and was killed.
        """
        with tempfile.TemporaryDirectory() as folder:
            out, error = Path(folder, "out"), Path(folder, "err")
            process = self._start(arguments, cwd, env, out, error)
            try:
                status = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise subprocess.TimeoutExpired(arguments, timeout_s, out.read_text(), error.read_text()) from None
            return Completed(arguments, status, out.read_text(), error.read_text())

    def ask(self, request: dict[str, Any]) -> Any:
        """Return what the process that forks answers."""
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(f"{json.dumps(request)}\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def _start(self, arguments: tuple[str, ...], cwd: Path, env: Mapping[str, str], out: Path, error: Path) -> Forked:
        where = {"cwd": str(cwd), "out": str(out.absolute()), "err": str(error.absolute())}
        return Forked(self, arguments, self.ask({"arguments": arguments, "env": dict(env), **where}))


@cache
def warm() -> Warm:
    """Return the one of this process."""
    return Warm()


def serve() -> None:
    """Fork, or wait for a fork, for each request on stdin; answer with the fork, or with what waitpid(2) returns."""
    for module in PRELOADED:
        __import__(module)
    # Else each fork would look at all of that for garbage, when it ends at the latest.
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _answer(os.waitpid(request["wait"], request["options"]))
            continue
        is_apart, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.setsid()
            os.close(told)
            os.close(is_apart)
            # What was read ahead is the parent's.
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            _become(request)
            return
        # Who is told of the child may signal its group.
        os.close(told)
        os.read(is_apart, 1)
        os.close(is_apart)
        _answer(child)


def _answer(what: Any) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


def _become(request: dict[str, Any]) -> None:
    """Be ``python ARGUMENTS``; whatever it raises is raised."""
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.path[0] = request["cwd"]
    match request["arguments"]:
        case ["-m", module, *_]:
            sys.argv = request["arguments"][1:]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case ["-c", code, *rest]:
            sys.argv = ["-c", *rest]
            sys.modules["__main__"] = main = ModuleType("__main__")
            exec(compile(code, "<string>", "exec"), vars(main))
        case [file, *_]:
            sys.argv = request["arguments"]
            runpy.run_path(file, run_name="__main__")
