from collections.abc import Sequence
from typing import Any

from services.control import LOG_LINES, STOP_SECONDS
from services.errors import ServiceError


class Container:
    """A server in a Docker container, which is *container* of docker-py and runs."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def start(self) -> None:
        """Start the container, if it does not run."""
        self._container.start()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after 30 s."""
        self.thaw()
        self._container.stop(timeout=STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL, and wait until the container has ended."""
        if not self.alive():
            return
        # The engine can signal a paused container, but the signal waits until it goes on.
        self.thaw()
        self._container.kill()
        self._container.wait()

    def freeze(self) -> None:
        """Pause every process of the container."""
        if self._status() != "paused":
            self._container.pause()

    def thaw(self) -> None:
        """Unpause the container, if it is paused."""
        if self._status() == "paused":
            self._container.unpause()

    def alive(self) -> bool:
        """Whether the container runs, or is paused."""
        return self._status() in {"running", "paused"}

    def run(self, command: Sequence[str]) -> str:
        """What *command* prints in the container; raises ServiceError if it fails."""
        done = self._container.exec_run(list(command))
        output: str = done.output.decode(errors="replace")
        if done.exit_code:
            raise ServiceError(f"{' '.join(command)}: exit status {done.exit_code}\n{output}")
        return output

    def log(self) -> str:
        """The last 60 lines that it wrote, over all its starts."""
        text: str = self._container.logs(tail=LOG_LINES).decode(errors="replace")
        return text

    def _status(self) -> str:
        self._container.reload()
        status: str = self._container.status
        return status
