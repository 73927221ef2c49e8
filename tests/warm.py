"""Processes that need not import everything first: each is a fork of one that has.

A command takes half a second of CPU to import what it uses, and the tests run many hundreds. What a fork finds imported
is the library alone, which reads nothing of its environment while it is imported; the application is never among it.
"""

import atexit
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

PRELOADED = ("actors.cli", "actors.cli.periodic", "actors.checks.redis", "middleware.stores.redis")

Completed = subprocess.CompletedProcess[str]


class Warm:
    """The process that forks; it ends with this one.

    It runs one command at a time.
    """

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

    def run(self, *arguments: str, cwd: Path, env: dict[str, str], timeout_s: float) -> Completed:
        """Run ``python ARGUMENTS``, which begin with ``-m``, ``-c`` or a file, to its end.

        Raises:
            subprocess.TimeoutExpired: it took longer than *timeout_s* seconds, and was killed.
        """
        with self._lock, tempfile.TemporaryDirectory() as folder:
            out, error = Path(folder, "out"), Path(folder, "err")
            request = {"arguments": arguments, "cwd": str(cwd), "env": env, "out": str(out), "err": str(error)}
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(f"{json.dumps(request | {'timeout_s': timeout_s})}\n")
            self._process.stdin.flush()
            status = json.loads(self._process.stdout.readline())
            if status is None:
                raise subprocess.TimeoutExpired(arguments, timeout_s, out.read_text(), error.read_text())
            return Completed(arguments, status, out.read_text(), error.read_text())


@cache
def warm() -> Warm:
    """Return the one of this process."""
    return Warm()


def serve() -> None:
    """Fork for each request on stdin, and answer with the status of the command."""
    for module in PRELOADED:
        __import__(module)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            # What was read ahead is the parent's.
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            _become(request)
            return
        status = _wait(child, time.monotonic() + request["timeout_s"])
        sys.stdout.write(f"{json.dumps(status)}\n")
        sys.stdout.flush()


def _wait(child: int, deadline: float) -> int | None:
    """Return its status as subprocess has it; None if it had to be killed."""
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _become(request: dict[str, Any]) -> None:
    """Be ``python ARGUMENTS``; whatever it raises is raised."""
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
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
