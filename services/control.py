from collections.abc import Sequence
from typing import NoReturn, Protocol

from services.errors import Uncontrollable

# How long a clean stop may take, and how much of its log a server may tell.
STOP_SECONDS = 30
LOG_LINES = 60


class Control(Protocol):
    """How one server is started, ended and frozen. Every verb may be repeated."""

    def start(self) -> None:
        """Run the server on its own data and port, without waiting until it answers."""

    def stop(self) -> None:
        """End the server as its operator would, and return when it is gone."""

    def kill(self) -> None:
        """End the server with SIGKILL, and return when it is gone."""

    def freeze(self) -> None:
        """Suspend the server: its connections stay open, and nothing answers."""

    def thaw(self) -> None:
        """Let a frozen server go on."""

    def alive(self) -> bool:
        """Whether the server's process exists, frozen or not."""

    def run(self, command: Sequence[str]) -> str:
        """The output of a command run in the server's own environment."""

    def log(self) -> str:
        """The last lines that the server wrote."""


class Given:
    """A server whose URL came from the environment: it is used, and never controlled."""

    def __init__(self, variable: str) -> None:
        self._variable = variable

    def start(self) -> None:
        """Nothing: it runs already, or the first connection says that it does not."""

    def stop(self) -> None:
        """Raises Uncontrollable."""
        self._refuse("stopped")

    def kill(self) -> None:
        """Raises Uncontrollable."""
        self._refuse("killed")

    def freeze(self) -> None:
        """Raises Uncontrollable."""
        self._refuse("frozen")

    def thaw(self) -> None:
        """Raises Uncontrollable."""
        self._refuse("thawed")

    def alive(self) -> bool:
        """True, as far as we can know."""
        return True

    def run(self, command: Sequence[str]) -> str:
        """Raises Uncontrollable."""
        self._refuse(f"asked by {command[0]}")

    def log(self) -> str:
        """A sentence in its place."""
        return f"its log is out of reach, because its URL comes from {self._variable}"

    def _refuse(self, verb: str) -> NoReturn:
        raise Uncontrollable(
            f"the server of {self._variable} is not ours and cannot be {verb}; "
            f"unset {self._variable} or ask for private=True to get one that can"
        )
