"""Schedulers of one system, on a queue of their own."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pika

import services
from actors.brokers.topology import Topology
from benchmarks.delays import memory
from benchmarks.periodic.arrivals import Arrival, Arrivals
from benchmarks.periodic.plan import Plan
from benchmarks.periodic.systems import System
from benchmarks.queues import delete_queues
from services.errors import NotReady
from services.warden import Warden

ROOT = Path(__file__).parents[2]
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Deployment:
    """Schedulers of *system*; use :func:`deployed`."""

    def __init__(self, system: System, arrivals: Arrivals, env: dict[str, str], warden: Warden) -> None:
        self._system = system
        self._env = env
        self._warden = warden
        self._arrivals = arrivals
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Start one more, and return at once."""
        folder = self._warden.folder / str(len(self.processes))
        folder.mkdir()
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                self._system.command, cwd=folder, env=self._env, stdout=log, stderr=log, start_new_session=True
            )
        self._warden.watch(process.pid)
        self.processes.append(process)
        return process

    def first(self) -> Arrival:
        """Return the first message, once it has come.

        Raises:
            NotReady: it does not; with the last that the newest process has said.
        """
        try:
            return self._arrivals.first()
        except NotReady as error:
            raise NotReady(f"{self._system.name}: {error}:\n{self._log(self.processes[-1])[-2000:]}") from None

    def during(self, seconds: float) -> list[Arrival]:
        return self._arrivals.during(seconds)

    def says(self, process: subprocess.Popen[bytes], words: str) -> bool:
        """Return whether *words* are in the log of *process*."""
        return words in self._log(process)

    def kill(self, process: subprocess.Popen[bytes]) -> float:
        """SIGKILL *process*, and return when, in seconds since the Unix epoch."""
        at = time.time()
        os.killpg(process.pid, signal.SIGKILL)
        return at

    def close(self) -> None:
        """Kill all, and wait until they have ended."""
        for process in self.processes:
            if process.poll() is None:
                self.kill(process)
            process.wait()
            self._warden.forget(process.pid)

    def _log(self, process: subprocess.Popen[bytes]) -> str:
        return (self._warden.folder / str(self.processes.index(process)) / "log").read_text()


@contextmanager
def deployed(system: System, plan: Plan, server: services.RabbitMQ, prefix: str) -> Iterator[Deployment]:
    """Make the queue of a *system* that has not been started; what is started ends with the block."""
    queue = Topology(prefix=prefix).work("default")
    env = os.environ | {
        "ACTORS_BROKER_URL": server.url,
        "ACTORS_QUEUE_PREFIX": prefix,
        "PYTHONPATH": str(ROOT),
        **plan.env(queue.name),
    }
    with pika.BlockingConnection(pika.URLParameters(server.url)) as connection, Warden("bench") as warden:
        channel = connection.channel()
        channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))
        deployment = Deployment(system, Arrivals(channel, queue.name, system.number), env, warden)
        try:
            yield deployment
        finally:
            deployment.close()
    delete_queues(server, f"{prefix}.")


def resident_mb(process: subprocess.Popen[bytes]) -> float:
    return memory.resident_mb(process.pid)


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """Return the CPU seconds that *process* has taken."""
    _, _, fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")
    return sum(map(int, fields.split()[11:13])) / _TICKS_A_SECOND
