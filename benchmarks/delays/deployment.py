"""A worker of one system, and the messages that it is sent."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.delays import arrivals, memory
from benchmarks.delays.arrivals import Arrival
from benchmarks.delays.plan import Plan
from benchmarks.delays.systems import System
from benchmarks.systems import Servers
from benchmarks.waiting import wait_for_worker
from services.warden import Warden

ROOT = Path(__file__).parents[2]
START_S = 60.0
SEND_S = 300.0

WARM = Plan(first=-200, count=200, soonest_s=1, latest_s=2)


class Deployment:
    """A worker of *system* in a *folder* of its own; use :func:`running`."""

    def __init__(self, system: System, servers: Servers, folder: Path) -> None:
        self._system = system
        self._arrivals = folder / "arrivals"
        self._log = folder / "worker.log"
        self._env = os.environ | {
            "ACTORS_BROKER_URL": servers.broker_url,
            "ACTORS_STORE_URL": servers.store_url,
            "ACTORS_QUEUE_PREFIX": servers.prefix,
            "PYTHONPATH": str(ROOT),
            arrivals.VARIABLE: str(self._arrivals),
        }
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                system.worker, cwd=ROOT, env=self._env, stdout=log, stderr=log, start_new_session=True
            )

    def warm_up(self) -> None:
        """Send some messages, and wait until they have arrived: what comes at a first message is then in memory."""
        self.send(WARM)
        self.wait(lambda: self.missing(WARM) == 0, seconds=START_S, what="the first messages")

    def send(self, plan: Plan, meanwhile: Callable[[], object] = lambda: None) -> float:
        """Send all of *plan*, and return how many were sent a second; *meanwhile* is called all the while."""
        command = [str(self._system.python), "-m", "benchmarks.delays.sending", self._system.app, *plan.words()]
        sender = subprocess.Popen(command, cwd=ROOT, env=self._env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            self.wait(lambda: (meanwhile(), sender.poll() is not None)[1], seconds=SEND_S, what="the sender")
            out, err = sender.communicate()
        finally:
            sender.kill()
        if sender.returncode:
            raise RuntimeError(f"the sender of {self._system.name} failed: {err.decode()[-2000:]}")
        return plan.count / float(out.split()[-1])

    def arrived(self, plan: Plan) -> list[Arrival]:
        """Return the arrivals of *plan*'s messages so far."""
        return [arrival for arrival in arrivals.read(self._arrivals) if arrival.number in plan.numbers]

    def missing(self, plan: Plan) -> int:
        """Return how many of *plan*'s messages have not arrived."""
        return plan.count - len({arrival.number for arrival in self.arrived(plan)})

    def wait(self, condition: Callable[[], object], *, seconds: float, what: str) -> None:
        """Wait until *condition* holds.

        Raises:
            NotReady: it did not within *seconds*, or the worker has ended; with the last of its log.
        """
        wait_for_worker(self.process, condition, of=self._system.name, log=self._log, seconds=seconds, what=what)

    def resident_mb(self) -> float:
        return memory.resident_mb(self.process.pid)

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def running(system: System, servers: Servers) -> Iterator[Deployment]:
    """Run a worker of *system* that has been warmed up; it ends with the block."""
    with Warden("bench") as warden:
        deployment = Deployment(system, servers, warden.folder)
        warden.watch(deployment.process.pid)
        try:
            deployment.warm_up()
            yield deployment
        finally:
            deployment.kill()
            warden.forget(deployment.process.pid)
