"""One system on a file, or a Redis, that is empty: what is enqueued, and a worker."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import services
from benchmarks.delays import arrivals, memory
from benchmarks.delays.arrivals import Arrival
from benchmarks.embedded import marks
from benchmarks.embedded.marks import Mark
from benchmarks.embedded.systems import System
from benchmarks.waiting import wait_for_worker
from services.deadline import until
from services.warden import Warden

ROOT = Path(__file__).parents[2]
SEND_S = 600.0
STOP_S = 60.0
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Deployment:
    """A *system* without a worker; use :func:`deployed`."""

    def __init__(self, system: System, store: services.Redis | None, warden: Warden) -> None:
        self.system = system
        self._warden = warden
        self._log = warden.folder / "worker.log"
        self._marks = warden.folder / "marks"
        self._arrivals = warden.folder / "arrivals"
        self._env = os.environ | {
            "ACTORS_BROKER_URL": f"sqlite:///{warden.folder / 'jobs.db'}",
            "EMBEDDED_FILE": str(warden.folder / "jobs.db"),
            "EMBEDDED_REDIS": store.url if store is not None else "",
            "PYTHONPATH": str(ROOT),
            arrivals.VARIABLE: str(self._arrivals),
            marks.VARIABLE: str(self._marks),
            **system.env(),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def worker(self) -> subprocess.Popen[bytes]:
        """The worker that was started."""
        if self._process is None:
            raise RuntimeError("no worker was started")
        return self._process

    def enqueue(self, how: str, count: int, *, first: int = 0) -> float:
        """Enqueue jobs as a function of :mod:`~benchmarks.embedded.sending` does it; return how many a second."""
        command = [str(self.system.python), "-m", "benchmarks.embedded.sending", self.system.app, how]
        done = subprocess.run(
            [*command, str(first), str(count)],
            cwd=ROOT,
            env=self._env,
            capture_output=True,
            timeout=SEND_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the sender of {self.system.name} failed: {done.stderr.decode()[-2000:]}")
        return (count - 1) / float(done.stdout.split()[-1])

    def start(self, *, count: int = 1) -> float:
        """Start the worker, which marks the first and the last of *count* jobs; return when, since the Unix epoch."""
        at = time.time()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.system.worker,
                cwd=ROOT,
                env={**self._env, marks.COUNT: str(count)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._warden.watch(self._process.pid)
        return at

    def mark(self, run: int, *, seconds: float) -> Mark:
        """Return the mark of the job that ran *run*-th, once it is there."""
        self._wait(lambda: run in marks.read(self._marks), seconds=seconds, what=f"job {run} of the worker")
        return marks.read(self._marks)[run]

    def arrived(self, numbers: range, *, seconds: float) -> list[Arrival]:
        """Return the arrivals of *numbers*, once all are there."""

        def found() -> list[Arrival]:
            return [each for each in arrivals.read(self._arrivals) if each.number in numbers]

        self._wait(lambda: len(found()) >= len(numbers), seconds=seconds, what=f"{len(numbers)} jobs")
        return found()

    def cpu_s(self) -> float:
        """Return the CPU seconds that all processes of the worker have taken."""
        return sum(_cpu_s(process) for process in memory.processes(self.worker.pid))

    def resident_mb(self) -> float:
        return memory.resident_mb(self.worker.pid)

    def stop(self) -> float:
        """End the worker with SIGTERM; return how many seconds that took."""
        began = time.monotonic()
        self.worker.terminate()
        until(lambda: self.worker.poll() is not None, seconds=STOP_S, what=f"the end of {self.system.name}'s worker")
        return time.monotonic() - began

    def close(self) -> None:
        """Kill what still runs."""
        if self._process is None:
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._warden.forget(self._process.pid)

    def _wait(self, condition: Callable[[], object], *, seconds: float, what: str) -> None:
        wait_for_worker(self.worker, condition, of=self.system.name, log=self._log, seconds=seconds, what=what)


@contextmanager
def deployed(system: System, store: services.Redis | None) -> Iterator[Deployment]:
    """Give *system* a folder of its own, and an empty *store*; all ends with the block."""
    with Warden("bench") as warden:
        deployment = Deployment(system, store, warden)
        try:
            yield deployment
        finally:
            deployment.close()


def _cpu_s(process: Path) -> float:
    try:
        _, _, fields = (process / "stat").read_text().rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it has ended
    return sum(map(int, fields.split()[11:13])) / _TICKS_A_SECOND
