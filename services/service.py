from abc import ABC, abstractmethod

from services.control import Control
from services.deadline import until
from services.errors import NotReady

START_SECONDS = 60.0


class Service(ABC):
    """A real server, at one URL for as long as this object lives.

    On a server given by URL every verb but `start` raises Uncontrollable.
    """

    def __init__(self, url: str, control: Control) -> None:
        self.url = url
        self._control = control
        self._version = ""
        self._silence = ""

    @property
    def version(self) -> str:
        """What the server called its version when it last started, such as "3.10.8"."""
        return self._version

    def start(self) -> None:
        """Run the server, if it does not run, and return when it serves clients.

        Raises:
            NotReady: it ended, or did not answer within 60 s; with the last lines of its log.
        """
        self._control.start()
        what = f"an answer from {self._address()}"
        try:
            until(self._answered, seconds=START_SECONDS, what=what)
        except NotReady as error:
            raise NotReady(f"{error} ({self._silence}); its log ends with:\n{self._control.log()}") from None

    def stop(self) -> None:
        """End the server cleanly; it keeps its data.

        Raises:
            NotReady: it was still there after 30 s.
        """
        self._control.stop()

    def kill(self) -> None:
        """End the server with SIGKILL, frozen or not; it keeps what it had written to its data folder."""
        self._control.kill()

    def freeze(self) -> None:
        """Stop every process of the server with SIGSTOP, and return when none runs."""
        self._control.freeze()

    def thaw(self) -> None:
        """Let a frozen server go on where it was; nothing if it is not frozen."""
        self._control.thaw()

    def restart(self) -> None:
        """Stop the server cleanly, if it runs, and start it with the same data at the same URL."""
        self.stop()
        self.start()

    @abstractmethod
    def _ask_version(self) -> str:
        """The version, from a complete exchange with the server; raises NotReady if there is none, with the reason."""

    def _answered(self) -> bool:
        if not self._control.alive():
            raise NotReady(f"the server at {self._address()} ended while it started")
        try:
            self._version = self._ask_version()
        except NotReady as reason:
            self._silence = str(reason)
            return False
        return True

    def _address(self) -> str:
        return self.url.rpartition("@")[2]  # without the password
