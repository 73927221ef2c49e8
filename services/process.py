import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from services.control import LOG_LINES, STOP_SECONDS
from services.errors import NotReady, ServiceError
from services.warden import Warden

RUN_SECONDS = 30.0

# Nothing runs before the warden knows of it: the shell waits for one line,
# and reads end-of-file instead if we die first.
GATE = 'read -r _ && exec "$@" </dev/null'


class PrivateProcess:
    """A server run from *command*, which stays in the foreground, in a process group of its own.

    It works in the warden's folder, writes to `NAME.log` there, and is killed
    at the end of a `with` block.
    """

    def __init__(self, warden: Warden, name: str, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._warden = warden
        self._name = name
        self._command = command
        self._env = dict(env)
        self._log = warden.folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen = False

    def start(self) -> None:
        """Run it, if it does not run."""
        if self.alive():
            return
        gate, key = os.pipe()
        with os.fdopen(gate, "rb") as stdin, os.fdopen(key, "wb") as opener, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", GATE, self._name, *self._command],
                stdin=stdin,
                stdout=log,
                stderr=log,
                cwd=self._warden.folder,
                env=self._env,
                start_new_session=True,
            )
            self._warden.watch(self._process.pid)
            opener.write(b"\n")

    def stop(self) -> None:
        """SIGTERM, and wait up to 30 s; raises NotReady after that."""
        if (process := self._running()) is None:
            return
        self.thaw()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise NotReady(f"{self._name}: still there {STOP_SECONDS} s after SIGTERM:\n{self.log()}") from None
        self._ended(process)

    def kill(self) -> None:
        """SIGKILL to the whole group, frozen or not, and wait."""
        if (process := self._running()) is None:
            return
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._ended(process)

    def freeze(self) -> None:
        """SIGSTOP to the whole group, and wait until it holds; raises ServiceError if nothing runs."""
        if (process := self._running()) is None:
            raise ServiceError(f"{self._name}: cannot be frozen, because it does not run")
        if self._frozen:
            return
        os.killpg(process.pid, signal.SIGSTOP)
        # The signal is only on its way: wait until every thread has stopped.
        os.waitpid(process.pid, os.WUNTRACED)
        self._frozen = True

    def thaw(self) -> None:
        """SIGCONT to the whole group, if it is frozen."""
        if (process := self._running()) is not None and self._frozen:
            os.killpg(process.pid, signal.SIGCONT)
            self._frozen = False

    def alive(self) -> bool:
        """Whether it runs, or is frozen."""
        return self._running() is not None

    def run(self, command: Sequence[str]) -> str:
        """What *command* prints with this environment; raises ServiceError if it fails or takes more than 30 s."""
        try:
            done = subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired:
            raise ServiceError(f"{' '.join(command)}: not done within {RUN_SECONDS:g} s") from None
        if done.returncode:
            raise ServiceError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def log(self) -> str:
        """The last 60 lines that it wrote, over all its starts."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-LOG_LINES:])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def _running(self) -> subprocess.Popen[bytes] | None:
        if self._process is not None and self._process.poll() is not None:
            self._ended(self._process)
        return self._process

    def _ended(self, process: subprocess.Popen[bytes]) -> None:
        self._warden.forget(process.pid)
        self._process = None
        self._frozen = False
