"""What survives us long enough to end our servers.

The warden is a child process at the other end of a pipe. It learns which
process groups are ours; when the pipe closes, because we closed it or because
we died (SIGKILL included), it kills those groups and removes the folder.

It is run as a script, from this very file, and so imports nothing of ours.
"""

import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

REMOVAL_SECONDS = 10.0

# Where the folders are made; the system's folder for temporary files if it is not set.
VARIABLE = "ACTORS_TEST_FOLDER"


class Warden:
    """A private folder, and process groups that end when this process does, however it does."""

    def __init__(self, name: str) -> None:
        self.folder = Path(os.environ.get(VARIABLE) or tempfile.gettempdir()) / f"actors-{name}-{secrets.token_hex(4)}"
        heard, told = os.pipe()
        self._orders = os.fdopen(told, "w", buffering=1)
        with os.fdopen(heard, "rb") as stdin:
            # Its own session: Ctrl-C in a terminal must reach the tests, not the warden.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, str(self.folder)],
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.folder.mkdir(mode=0o700)

    def watch(self, group: int) -> None:
        """Kill the process group *group* when this process ends."""
        print("watch", group, file=self._orders)

    def forget(self, group: int) -> None:
        """The process group *group* has ended: its number may soon be another's."""
        print("forget", group, file=self._orders)

    def close(self) -> None:
        """Kill what is still watched, remove the folder, and return when both are done."""
        self._orders.close()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def main(folder: Path) -> None:
    """Listen on standard input until whoever started us is gone, then clean up after them."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    for group in _groups_left():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    deadline = time.monotonic() + REMOVAL_SECONDS
    while time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        # A killed server may still write for a moment.
        time.sleep(0.05)


def _groups_left() -> set[int]:
    groups: set[int] = set()
    parent = os.getppid()
    received = b""
    while True:
        # A forked child of the tests may hold the pipe open after them, hence the look at the parent.
        readable, _, _ = select.select([0], [], [], 1.0)
        chunk = os.read(0, 4096) if readable else b""
        received += chunk
        *orders, received = received.split(b"\n")
        for verb, group in (order.split() for order in orders):
            (groups.add if verb == b"watch" else groups.discard)(int(group))
        if readable and not chunk:
            return groups
        if not readable and os.getppid() != parent:
            return groups


if __name__ == "__main__":
    main(Path(sys.argv[1]))
